using System.IO.MemoryMappedFiles;

namespace Fossil.Serialization;

/// <summary>
/// A file that is read by mapping parts of it into memory. A part counts towards the process's memory only while its view exists,
/// so what loads tensor by tensor never holds more of the file than one tensor.
/// </summary>
/// <remarks>Views may be made from several threads at once.</remarks>
internal sealed class MappedFile : IDisposable
{
    private readonly MemoryMappedFile mapping;
    private bool disposed;

    private MappedFile(FileStream stream, long length)
    {
        State = new(stream.Name, length, File.GetLastWriteTimeUtc(stream.SafeFileHandle));
        // The mapping owns the stream, which later views are made from.
        mapping = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.CopyOnWrite, HandleInheritability.None, leaveOpen: false);
        Length = length;
    }

    /// <summary>The file as it was when it was opened.</summary>
    public MappedFileState State { get; }

    /// <summary>Bytes of the file.</summary>
    public long Length { get; }

    /// <summary>Opens a file for a reader, which disposes it; where it cannot be read, this does.</summary>
    /// <param name="path">The file.</param>
    /// <param name="checkLength">Refuses a file that is too short; at least an empty one, which cannot be mapped.</param>
    /// <param name="create">Makes the reader.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static T Open<T>(string path, Action<long> checkLength, Func<MappedFile, T> create)
    {
        // Opening a folder is a matter of rights to the system, whose message says nothing of folders.
        if (Directory.Exists(path)) throw new IOException($"'{path}' is a folder, not a file.");
        // Delete sharing lets a writer replace the file while it is mapped here.
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        MappedFile? file = null;
        try
        {
            var length = stream.Length;
            checkLength(length);
            file = new MappedFile(stream, length);
            return create(file);
        }
        catch
        {
            file?.Dispose();
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Maps bytes of the file, at least one.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="count">How many.</param>
    /// <param name="copyOnWrite">Whether they may be written to: what is written stays in this process, in memory of its own, and the file is as it was. Otherwise writing ends the process.</param>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public View Map(long offset, long count, bool copyOnWrite = false)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return new View(mapping.CreateViewAccessor(offset, count, copyOnWrite ? MemoryMappedFileAccess.CopyOnWrite : MemoryMappedFileAccess.Read));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        disposed = true;
        mapping.Dispose();
    }

    /// <summary>Bytes of the file in memory, until it is disposed.</summary>
    public sealed unsafe class View : IDisposable
    {
        private readonly MemoryMappedViewAccessor accessor;

        internal View(MemoryMappedViewAccessor accessor)
        {
            this.accessor = accessor;
            byte* start = null;
            accessor.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            Start = start + accessor.PointerOffset;
        }

        /// <summary>The first byte.</summary>
        public byte* Start { get; }

        /// <summary>Unmaps the bytes.</summary>
        public void Dispose()
        {
            accessor.SafeMemoryMappedViewHandle.ReleasePointer();
            accessor.Dispose();
        }
    }
}
