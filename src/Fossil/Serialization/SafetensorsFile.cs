using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>
/// A safetensors file, checked and read by mapping it into memory. Opening reads the header only; a tensor's bytes are mapped and read
/// once, straight into the tensor, when it is loaded.
/// </summary>
/// <remarks>
/// Nothing in the file is trusted: a damaged or hostile file is refused by a <see cref="SafetensorsException"/> before anything
/// of a size that it claims is allocated. Do not shorten a file while it is open here: the operating system ends a process that
/// reads beyond the end of a mapped file. (Replacing it by a rename, as <see cref="AtomicFile"/> does, is harmless.)
/// </remarks>
public sealed unsafe class SafetensorsFile : IDisposable
{
    // Far below what a Span can hold, and a multiple of every element size.
    private const long CopyChunk = 1 << 28;

    private readonly SafetensorsHeader header;
    private readonly Dictionary<string, SafetensorInfo> byName;
    private readonly MappedFile file;

    private SafetensorsFile(string path, MappedFile file)
    {
        Path = path;
        this.file = file;
        using var view = file.Map(0, file.Length);
        var headerLength = SafetensorsHeader.ReadLength(new ReadOnlySpan<byte>(view.Start, SafetensorsHeader.LengthBytes), file.Length, path);
        header = SafetensorsHeader.Parse(new ReadOnlySpan<byte>(view.Start + SafetensorsHeader.LengthBytes, headerLength), file.Length - SafetensorsHeader.LengthBytes - headerLength, path);
        byName = header.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        Names = [.. header.Tensors.Select(tensor => tensor.Name)];
        Metadata = header.Metadata is { } pairs ? new Dictionary<string, string>(pairs, StringComparer.Ordinal) : null;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The tensors' names, as the header lists them.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The metadata; null where the file has none.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; }

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="SafetensorsException">The file is not a well-formed safetensors file; <see cref="SafetensorsException.Error"/> says why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SafetensorsFile Open(string path) => MappedFile.Open(
        path,
        length =>
        {
            if (length < SafetensorsHeader.LengthBytes) SafetensorsHeader.ReadLength([], length, path);
        },
        file => new SafetensorsFile(path, file));

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>What the header says about a tensor.</summary>
    /// <exception cref="SafetensorsException">There is no tensor of that name.</exception>
    public SafetensorInfo GetInfo(string name) =>
        byName.TryGetValue(name, out var info)
            ? info
            : throw new SafetensorsException(SafetensorsError.TensorNotFound, Path, $"there is no tensor '{name}'. There are {Names.Count}: {string.Join(", ", Names.Take(10))}{(Names.Count > 10 ? ", …" : string.Empty)}.");

    /// <summary>Loads a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dtype">The dtype it shall have; that of the file where null.</param>
    /// <param name="device">Where it shall be; on the CPU where null.</param>
    /// <returns>A new tensor, which the caller (or the surrounding dispose scope) owns.</returns>
    /// <exception cref="SafetensorsException">There is no tensor of that name, or libtorch does not hold its dtype.</exception>
    public Tensor Load(string name, ScalarType? dtype = null, Device? device = null)
    {
        var info = GetInfo(name);
        var stored = TorchDtype(info);
        var loaded = empty([.. info.Shape], dtype ?? stored, device ?? CPU);
        try
        {
            Copy(info, stored, loaded);
            return loaded;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Loads a tensor into one that exists, e.g. a parameter of a model, converting to its dtype: no second copy of it is made.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="destination">A tensor of the same shape.</param>
    /// <exception cref="SafetensorsException">There is no tensor of that name, the shapes differ, or libtorch does not hold its dtype.</exception>
    public void LoadInto(string name, Tensor destination)
    {
        var info = GetInfo(name);
        if (!destination.shape.AsSpan().SequenceEqual([.. info.Shape]))
        {
            throw new SafetensorsException(SafetensorsError.ShapeMismatch, Path, $"tensor '{name}' has shape [{string.Join(", ", info.Shape)}], the tensor to load into [{string.Join(", ", destination.shape)}]. Does the file belong to this model?");
        }

        using var noGrad = no_grad();
        if (destination.is_contiguous())
        {
            Copy(info, TorchDtype(info), destination);
            return;
        }

        using var loaded = Load(name, destination.dtype);
        destination.copy_(loaded);
    }

    /// <summary>Passes a tensor's bytes, as they are in the file, to <paramref name="consume"/> piece by piece.</summary>
    internal void ReadBytes(string name, SpanAction consume)
    {
        var info = GetInfo(name);
        if (info.ByteCount == 0) return;
        using var view = Map(info);
        for (long done = 0; done < info.ByteCount; done += CopyChunk)
        {
            consume(new ReadOnlySpan<byte>(view.Start + done, (int)Math.Min(CopyChunk, info.ByteCount - done)));
        }
    }

    /// <summary>The file as it was when it was opened.</summary>
    internal MappedFileState State => file.State;

    /// <summary>A tensor's bytes, of which there are some, as they are in the file: a tensor over the file's own memory, which outlives this object.</summary>
    internal Tensor MapBytes(string name, ScalarType dtype, long[] shape) => MappedTensor.Of(Map(GetInfo(name), copyOnWrite: true), dtype, shape);

    /// <summary>Receives a piece of a tensor's bytes.</summary>
    internal delegate void SpanAction(ReadOnlySpan<byte> bytes);

    private ScalarType TorchDtype(SafetensorInfo info) =>
        info.Dtype.ToTorch() ?? throw new SafetensorsException(SafetensorsError.UnsupportedDtype, Path, $"tensor '{info.Name}' has dtype {info.Dtype}, which libtorch cannot hold. Convert the file to another dtype.");

    private void Copy(SafetensorInfo info, ScalarType stored, Tensor destination)
    {
        if (info.ByteCount == 0) return;
        using var view = Map(info);
        using var detached = destination.detach();
        using var flat = detached.view(-1);
        var elementBytes = info.Dtype.BitSize() / 8;
        TensorFiller.Fill(flat, stored, 1, (first, count, to) => Buffer.MemoryCopy(view.Start + (first * elementBytes), (void*)to, count * elementBytes, count * elementBytes));
    }

    private MappedFile.View Map(SafetensorInfo info, bool copyOnWrite = false) => file.Map(header.DataStart + info.Offset, info.ByteCount, copyOnWrite);

    /// <summary>Closes the file. Tensors loaded from it stay.</summary>
    public void Dispose() => file.Dispose();
}
