using Tensorboard;

namespace Fossil.Tests.Training;

/// <summary>Reads the scalars of a TensorBoard event file: records of length, its checksum, a protocol buffer, and its checksum.</summary>
internal static class TensorBoardEvents
{
    public static List<(string Tag, long Step, float Value)> Read(string path)
    {
        var values = new List<(string, long, float)>();
        using var reader = new BinaryReader(File.OpenRead(path));
        while (reader.BaseStream.Position < reader.BaseStream.Length)
        {
            var length = reader.ReadInt64();
            _ = reader.ReadUInt32();
            var record = Event.Parser.ParseFrom(reader.ReadBytes((int)length));
            _ = reader.ReadUInt32();
            foreach (var value in record.Summary?.Value ?? []) values.Add((value.Tag, record.Step, value.SimpleValue));
        }

        return values;
    }
}
