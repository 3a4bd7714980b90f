using Fossil.Cuda;

namespace Fossil.CudaCheck;

/// <summary>Weights that are held as blocks: written out, and multiplied with few rows. Two formats stand for all: scales of one block, and scales of groups within it.</summary>
internal static class EncodedCases
{
    private const int OfQ8 = 34, OfQ4K = 144;

    public static IEnumerable<KernelCase> Of(string format, ElementType type, int rows, int columns, int outputs)
    {
        var (blockBytes, elements) = format switch
        {
            "Q8_0" => (OfQ8, 32),
            "Q4_K" => (OfQ4K, 256),
            _ => throw new ArgumentException($"There are no cases of {format}: Q8_0 and Q4_K."),
        };
        var random = new Random(5);
        var rowBytes = columns / elements * blockBytes;
        Operand codes = new("codes", ElementType.Byte, outputs, rowBytes), values = new("values", type, outputs, columns) { Expected = new double[(long)outputs * columns] };
        Operand x = new Operand("x", type, rows, columns).Fill(random), y = new("y", type, rows, outputs) { Expected = new double[(long)rows * outputs] };
        var weight = new double[columns];
        for (var row = 0; row < outputs; row++)
        {
            for (var block = 0; block < columns / elements; block++)
            {
                var bytes = new byte[blockBytes];
                random.NextBytes(bytes);
                // Scales that are numbers.
                foreach (var at in format == "Q8_0" ? [0] : new[] { 0, 2 }) BitConverter.TryWriteBytes(bytes.AsSpan(at), (Half)(random.NextSingle() / 1024));
                for (var i = 0; i < blockBytes; i++) codes[row, (block * blockBytes) + i] = bytes[i];
                for (var i = 0; i < elements; i++) weight[(block * elements) + i] = format == "Q8_0" ? OfBlock(bytes, i) : OfSuperBlock(bytes, i);
            }

            for (var column = 0; column < columns; column++) values.Expected![((long)row * columns) + column] = weight[column];
            for (var one = 0; one < rows; one++)
            {
                for (var column = 0; column < columns; column++) y.Expected![((long)one * outputs) + row] += x[one, column] * weight[column];
            }
        }

        var element = CudaElement.Find(type)!;
        var source = ($"encoded_{format}_{type}", CudaEncodedSource.Of(CudaEncodedFormat.Find(format)!, element, CudaElement.All[0]));
        if (rows == 1) yield return new("write_encoded", $"{format} to {type}, {outputs} rows of {columns}", source, [codes, values], codes.Bytes + values.Bytes, (launcher, at) => launcher.Run(CudaEncodedLaunches.Write(new(at(codes).Address, rowBytes, 0), at(values), 0, (0, 0))));
        yield return new("multiply_encoded", $"{format}, {type}, {rows} rows, {columns} to {outputs}", source, [codes, x, y], codes.Bytes + x.Bytes + y.Bytes, (launcher, at) => launcher.Run(CudaEncodedLaunches.Multiply(new(at(codes).Address, rowBytes, 0), at(x), at(y), false)));
    }

    private static double OfBlock(byte[] block, int i) => (double)BitConverter.ToHalf(block) * (sbyte)block[2 + i];

    private static double OfSuperBlock(byte[] block, int i)
    {
        var group = i / 32;
        var packed = block.AsSpan(4, 12);
        var scale = group < 4 ? packed[group] & 63 : packed[group + 4] & 15 | packed[group - 4] >> 6 << 4;
        var minimum = group < 4 ? packed[group + 4] & 63 : packed[group + 4] >> 4 | packed[group] >> 6 << 4;
        var code = block[16 + (group / 2 * 32) + (i % 32)] >> (group % 2 * 4) & 15;
        return ((double)BitConverter.ToHalf(block) * scale * code) - ((double)BitConverter.ToHalf(block, 2) * minimum);
    }
}
