using Fossil.Serialization;

namespace Fossil.Models.Gguf;

/// <summary>One file, opened: its header, and its data to be mapped.</summary>
internal sealed unsafe class GgufPart : IDisposable
{
    private readonly MappedFile file;
    private readonly GgufHeader header;

    private GgufPart(string path, MappedFile file)
    {
        Path = path;
        this.file = file;
        using var view = file.Map(0, file.Length);
        header = GgufHeader.Read(view.Start, file.Length, path);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The file as it was when it was opened.</summary>
    public MappedFileState State => file.State;

    /// <summary>Its metadata.</summary>
    public GgufMetadata Metadata => header.Metadata;

    /// <summary>Its tensors, in the header's order.</summary>
    public List<GgufTensorInfo> Tensors => header.Tensors;

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="GgufException">The file is not a well-formed GGUF file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static GgufPart Open(string path) => MappedFile.Open(
        path,
        length =>
        {
            if (length == 0) throw new GgufException(GgufError.NotGguf, path, "the file is empty.");
        },
        file => new GgufPart(path, file));

    /// <summary>Maps a tensor's bytes, of which there are some.</summary>
    public MappedFile.View Map(GgufTensorInfo info, bool copyOnWrite = false) => file.Map(header.DataStart + info.Offset, info.ByteCount, copyOnWrite);

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();
}
