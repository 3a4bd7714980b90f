using System.Text;

namespace Fossil.Build;

/// <summary>
/// The version requirements of a 64-bit little-endian ELF shared object: the entries of its <c>.gnu.version_r</c> section, found through the dynamic
/// segment as the loader finds them. Every offset is checked against the file, so that a damaged file is an <see cref="InvalidDataException"/>.
/// </summary>
internal sealed class ElfVersionNeeds
{
    private const int ProgramHeaderSize = 56;
    private const int SegmentLoad = 1, SegmentDynamic = 2;
    private const long TagStringTable = 5, TagVersionNeed = 0x6ffffffe, TagVersionNeedCount = 0x6fffffff;

    // Elf64_Vernaux: hash (4), flags (2), other (2), name (4), next (4).
    private const int FlagsOffset = 4, NameOffset = 8, NextOffset = 12;

    /// <summary><c>VER_FLG_WEAK</c>: the loader warns, instead of refusing, where the version is missing.</summary>
    private const ushort WeakFlag = 2;

    private readonly byte[] image;
    private readonly List<(long Offset, long Address, long Size)> segments = new();

    /// <summary>Reads the requirements of <paramref name="image"/>, a whole shared object.</summary>
    /// <exception cref="InvalidDataException">It is not a 64-bit little-endian ELF file, or it is damaged.</exception>
    public ElfVersionNeeds(byte[] image)
    {
        this.image = image;
        if (image.Length < 64 || image[0] != 0x7f || image[1] != 'E' || image[2] != 'L' || image[3] != 'F' || image[4] != 2 || image[5] != 1)
            throw new InvalidDataException("not a 64-bit little-endian ELF file");
        Needs = Read();
    }

    /// <summary>Each required version: its name (such as <c>GLIBCXX_3.4.32</c>) and the file offset of its entry.</summary>
    public IReadOnlyList<(string Name, int Entry)> Needs { get; }

    /// <summary>Whether the requirement is weak.</summary>
    public bool IsWeak(int entry) => (UInt16(entry + FlagsOffset) & WeakFlag) != 0;

    /// <summary>Marks the requirement weak, in the image.</summary>
    public void MakeWeak(int entry) => image[entry + FlagsOffset] |= (byte)WeakFlag;

    private List<(string, int)> Read()
    {
        var headers = Int64(32);
        var headerSize = UInt16(54);
        var headerCount = UInt16(56);
        if (headerSize != ProgramHeaderSize) throw new InvalidDataException($"program headers of {headerSize} bytes, not {ProgramHeaderSize}");

        (long Offset, long Size)? dynamic = null;
        for (var i = 0; i < headerCount; i++)
        {
            var header = checked(headers + (long)i * ProgramHeaderSize);
            var kind = UInt32(header);
            var (offset, address, size) = (Int64(header + 8), Int64(header + 16), Int64(header + 32));
            if (kind == SegmentLoad) segments.Add((offset, address, size));
            else if (kind == SegmentDynamic) dynamic = (offset, size);
        }

        var needs = new List<(string, int)>();
        if (dynamic is not { } table) return needs;
        long strings = -1, need = -1, count = 0;
        for (var at = table.Offset; at + 16 <= table.Offset + table.Size; at += 16)
        {
            var (tag, value) = (Int64(at), Int64(at + 8));
            if (tag == 0) break;
            if (tag == TagStringTable) strings = FileOffset(value);
            else if (tag == TagVersionNeed) need = FileOffset(value);
            else if (tag == TagVersionNeedCount) count = value;
        }

        if (need < 0) return needs;
        if (strings < 0) throw new InvalidDataException("version requirements without a string table");
        // Elf64_Verneed: version (2), count (2), file (4), first Vernaux (4), next (4).
        for (; count > 0; count--)
        {
            var entries = UInt16(need + 2);
            var entry = need + UInt32(need + 8);
            for (var i = 0; i < entries; i++)
            {
                needs.Add((String(strings + UInt32(entry + NameOffset)), checked((int)entry)));
                var next = UInt32(entry + NextOffset);
                if (next == 0) break;
                entry += next;
            }

            // The last entry has no next one: what a damaged count says beyond that is not followed.
            var nextNeed = UInt32(need + 12);
            if (nextNeed == 0) break;
            need += nextNeed;
        }

        return needs;
    }

    private long FileOffset(long address)
    {
        foreach (var (offset, start, size) in segments)
            if (address >= start && address - start < size) return offset + (address - start);
        throw new InvalidDataException($"address 0x{address:x} lies in no segment");
    }

    private string String(long at)
    {
        Check(at, 1);
        var end = Array.IndexOf(image, (byte)0, (int)at);
        if (end < 0) throw new InvalidDataException($"unterminated string at {at}");
        return Encoding.ASCII.GetString(image, (int)at, end - (int)at);
    }

    private ushort UInt16(long at) => BitConverter.ToUInt16(image, Check(at, 2));

    private uint UInt32(long at) => BitConverter.ToUInt32(image, Check(at, 4));

    private long Int64(long at) => BitConverter.ToInt64(image, Check(at, 8));

    private int Check(long at, int size) =>
        at >= 0 && at <= image.Length - size ? (int)at : throw new InvalidDataException($"offset {at} lies outside the file ({image.Length} bytes)");
}
