namespace Fossil.Models.Gguf;

/// <summary>
/// Where the rows of a matrix lie in a GGUF file. For some architectures llama.cpp interleaves the two halves of each head's rows (those of q and k), which Hugging Face has one after the other.
/// </summary>
/// <param name="HeadRows">Rows of a head; 0 where the file has the rows as Hugging Face has them.</param>
internal readonly record struct HeadOrder(long HeadRows)
{
    /// <summary>The order of the rows of a matrix.</summary>
    /// <param name="info">The matrix, for messages.</param>
    /// <param name="heads">The number of heads; 0 where rows keep their order.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="GgufException">The rows are not those of so many heads.</exception>
    public static HeadOrder Of(GgufTensorInfo info, int heads, string path)
    {
        if (heads == 0) return default;
        var rows = info.Shape[0];
        return heads > 0 && rows % heads == 0 && rows / heads % 2 == 0 ? new(rows / heads)
            : throw new GgufException(GgufError.InvalidShape, path, $"tensor '{info.Name}' has {rows} rows, which are no {heads} heads of an even number of dimensions.");
    }

    /// <summary>The row in the file. Row 2 j + half of a head there is row half · d/2 + j of the head in Hugging Face's order.</summary>
    public long InFile(long row)
    {
        if (HeadRows == 0) return row;
        var (head, inHead) = Math.DivRem(row, HeadRows);
        var (half, pair) = Math.DivRem(inHead, HeadRows / 2);
        return (head * HeadRows) + (2 * pair) + half;
    }

    /// <summary>
    /// Rows in the order in which the file has them, which is how a processor reads ahead: one row behind the other, and not every second one. Of a head that is there in part alone each of the file's rows
    /// is looked at.
    /// </summary>
    /// <param name="first">The first row, in Hugging Face's order.</param>
    /// <param name="end">The row behind the last one.</param>
    public Rows AsInFile(long first, long end) => new(this, first, end);

    /// <summary>The row in Hugging Face's order of a row of the file.</summary>
    private long FromFile(long row)
    {
        if (HeadRows == 0) return row;
        var (head, inHead) = Math.DivRem(row, HeadRows);
        return (head * HeadRows) + (inHead % 2 * (HeadRows / 2)) + (inHead / 2);
    }

    /// <summary>Enumerates rows with their places in the file.</summary>
    public struct Rows(HeadOrder order, long first, long end)
    {
        private readonly long last = order.HeadRows == 0 ? end : (end + order.HeadRows - 1) / order.HeadRows * order.HeadRows;

        /// <summary>The row's place in the file.</summary>
        public long InFile { get; private set; } = (order.HeadRows == 0 ? first : first / order.HeadRows * order.HeadRows) - 1;

        /// <summary>The row in Hugging Face's order.</summary>
        public long Row { get; private set; }

        /// <summary>Goes to the next row; false behind the last one.</summary>
        public bool Next()
        {
            while (++InFile < last)
            {
                Row = order.FromFile(InFile);
                if (Row >= first && Row < end) return true;
            }

            return false;
        }
    }
}
