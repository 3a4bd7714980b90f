using Fossil.Models.Gguf.Blocks;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>
/// A GGUF file (version 2 or 3), or a model in several, checked and read by mapping it into memory. Opening reads the header only; a tensor's bytes are mapped and
/// read once, straight into the tensor, dequantised to the wanted dtype, when it is loaded.
/// </summary>
/// <remarks>
/// Nothing in the file is trusted: a damaged or hostile file is refused by a <see cref="GgufException"/> before anything of a size that it
/// claims is allocated. Do not shorten a file while it is open here: the operating system ends a process that reads beyond the end of a mapped file.
/// </remarks>
public sealed unsafe class GgufFile : IDisposable
{
    // Elements of a piece of work of one thread; a multiple of every block length.
    private const long PieceElements = 1 << 15;

    private readonly Dictionary<string, (GgufTensorInfo Info, GgufPart Part)> byName = new(StringComparer.Ordinal);
    private readonly IReadOnlyList<GgufPart> parts;

    private GgufFile(string path, IReadOnlyList<GgufPart> parts)
    {
        Path = path;
        this.parts = parts;
        Tensors = parts.SelectMany(part => part.Tensors).ToList().AsReadOnly();
        foreach (var part in parts)
        {
            foreach (var tensor in part.Tensors) byName.Add(tensor.Name, (tensor, part));
        }
    }

    /// <summary>The file; of a model in several files the one that was asked for.</summary>
    public string Path { get; }

    /// <summary>The metadata, in the file's order; of a model in several files those of the first.</summary>
    public GgufMetadata Metadata => parts[0].Metadata;

    /// <summary>The tensors, in the header's order; of a model in several files those of all.</summary>
    public IReadOnlyList<GgufTensorInfo> Tensors { get; }

    /// <summary>Opens and checks a file. Of a model in several files (<c>NAME-00001-of-00003.gguf</c>) any may be named; all are opened.</summary>
    /// <exception cref="GgufException">The file is not a well-formed GGUF file, or one of several of which others are missing or of another model; <see cref="GgufException.Error"/> says why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static GgufFile Open(string path) => new(path, GgufSplit.Open(path));

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>What the header says about a tensor.</summary>
    /// <exception cref="GgufException">There is no tensor of that name.</exception>
    public GgufTensorInfo GetInfo(string name) =>
        byName.TryGetValue(name, out var entry)
            ? entry.Info
            : throw new GgufException(GgufError.TensorNotFound, Path, $"there is no tensor '{name}'. There are {Tensors.Count}: {string.Join(", ", Tensors.Take(10).Select(tensor => tensor.Name))}{(Tensors.Count > 10 ? ", …" : string.Empty)}.");

    /// <summary>Loads a tensor, dequantised, with its rows in the file's order.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dtype">The dtype it shall have; that of the file where null, float32 for quantised types.</param>
    /// <param name="device">Where it shall be; on the CPU where null.</param>
    /// <returns>A new tensor of the shape of <see cref="GgufTensorInfo.Shape"/>, which the caller (or the surrounding dispose scope) owns.</returns>
    /// <exception cref="GgufException">There is no tensor of that name, or its type is not dequantised here.</exception>
    public Tensor Load(string name, ScalarType? dtype = null, Device? device = null)
    {
        var info = GetInfo(name);
        var loaded = empty([.. info.Shape], dtype ?? info.Type.ToTorch() ?? ScalarType.Float32, device ?? CPU);
        try
        {
            LoadInto(name, loaded);
            return loaded;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Loads a tensor into one that exists, e.g. a parameter of a model, dequantised to its dtype: no second copy of it is made.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="destination">A tensor of the same shape, of any dtype and device.</param>
    /// <param name="heads">
    /// 0 to keep the rows' order. Otherwise the rows are those of that many heads, in each of which the two halves of the rotary dimensions
    /// are interleaved, as llama.cpp wants them for q and k; they are loaded in Hugging Face's order, one half after the other.
    /// </param>
    /// <exception cref="GgufException">There is no tensor of that name, the shapes differ, or its type is not dequantised here.</exception>
    public void LoadInto(string name, Tensor destination, int heads = 0) => LoadInto(GetInfo(name), destination, heads);

    /// <summary>As <see cref="LoadInto(string, Tensor, int)"/>, of a tensor or a part of one (<see cref="GgufTensorInfo.Part"/>).</summary>
    internal void LoadInto(GgufTensorInfo info, Tensor destination, int heads)
    {
        var name = info.Name;
        if (!destination.shape.AsSpan().SequenceEqual([.. info.Shape]))
        {
            throw new GgufException(GgufError.ShapeMismatch, Path, $"tensor '{name}' has shape [{string.Join(", ", info.Shape)}], the tensor to load into [{string.Join(", ", destination.shape)}]. Does the file belong to this model?");
        }

        var reader = Reader(info, heads);
        if (info.ByteCount == 0) return;
        using var view = byName[name].Part.Map(info);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var target = destination.is_contiguous() ? destination.detach() : empty(destination.shape, destination.dtype, destination.device);
        TensorFiller.Fill(target.view(-1), reader.Dtype, reader.PieceElements, (first, count, to) => reader.Read(view.Start, first, count, (byte*)to));
        if (!destination.is_contiguous()) destination.copy_(target);
    }

    /// <summary>A matrix of blocks as it lies in the file, (rows, bytes of a row), uint8.</summary>
    /// <param name="info">The matrix.</param>
    /// <param name="mapped">Whether the tensor is the file's own memory, which outlives this object; otherwise it is a copy.</param>
    internal Tensor LoadBlocks(GgufTensorInfo info, bool mapped)
    {
        var view = byName[info.Name].Part.Map(info, copyOnWrite: true);
        var bytes = MappedTensor.Of(view, ScalarType.Byte, info.Shape[0], info.ByteCount / info.Shape[0]);
        if (mapped) return bytes;
        using (bytes) return bytes.clone();
    }

    /// <summary>Refuses to go on where the file was written to since it was opened: what the header says may not be true any more, and reading beyond the end ends the process.</summary>
    /// <exception cref="MappedFileException">It was.</exception>
    internal void CheckUnchanged()
    {
        foreach (var part in parts) part.State.Check();
    }

    /// <summary>The file of a tensor, as it was when it was opened.</summary>
    internal MappedFileState StateOf(GgufTensorInfo info) => byName[info.Name].Part.State;

    private PieceReader Reader(GgufTensorInfo info, int heads)
    {
        var elements = info.Shape.Aggregate(1L, (product, dimension) => product * dimension);
        var (blockElements, blockBytes) = info.Type.Block();
        var stored = info.Type.ToTorch();
        var block = GgufBlock.For(info.Type);
        if (stored is null && block is null)
        {
            throw new GgufException(GgufError.UnsupportedTensorType, Path, $"tensor '{info.Name}' is of type {info.Type}, in which ggml computes, but which no file of weights should hold. Convert the model again.");
        }

        var order = HeadOrder.Of(info, heads, Path);
        var pieceElements = heads == 0 ? PieceElements : elements / Math.Max(1, info.Shape[0]);
        return new PieceReader(stored ?? ScalarType.Float32, block, elements, pieceElements, pieceElements / blockElements * blockBytes, order);
    }

    /// <summary>Closes the file. Tensors loaded from it stay.</summary>
    public void Dispose()
    {
        foreach (var part in parts) part.Dispose();
    }

    /// <summary>Reads a tensor piece by piece on all processors: runs of elements, or single rows where their order changes.</summary>
    private sealed class PieceReader(ScalarType dtype, GgufBlock? block, long elements, long pieceElements, long pieceBytes, HeadOrder order)
    {
        public ScalarType Dtype => dtype;

        public long Elements => elements;

        public long PieceElements => pieceElements;

        /// <summary>Reads elements from <paramref name="first"/>, the start of a piece.</summary>
        /// <param name="source">The tensor's bytes.</param>
        /// <param name="first">The first element.</param>
        /// <param name="count">How many.</param>
        /// <param name="destination">Where they go.</param>
        public void Read(byte* source, long first, long count, byte* destination)
        {
            var elementBytes = block is null ? pieceBytes / pieceElements : sizeof(float);
            var firstPiece = first / pieceElements;
            var pieces = (count + pieceElements - 1) / pieceElements;
            Parallel.For(0, pieces, piece =>
            {
                var from = source + (order.InFile(firstPiece + piece) * pieceBytes);
                var to = destination + (piece * pieceElements * elementBytes);
                var length = Math.Min(pieceElements, count - (piece * pieceElements));
                if (block is null) Buffer.MemoryCopy(from, to, length * elementBytes, length * elementBytes);
                else block.Dequantise(from, (float*)to, length);
            });
        }
    }
}
