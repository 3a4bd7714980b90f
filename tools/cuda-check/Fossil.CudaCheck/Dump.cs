using System.Text.Json;
using Fossil.CompilerServices;
using Fossil.Cuda.Native;

namespace Fossil.CudaCheck;

/// <summary>Sources, PTX, and the launches of cases as data: for a program in another language that makes them itself.</summary>
internal static class Dump
{
    public static void Write(string folder, IReadOnlyList<KernelCase> cases, Nvrtc nvrtc, int architecture, int multiprocessors)
    {
        Directory.CreateDirectory(folder);
        foreach (var (name, text) in cases.Select(one => one.Source).Distinct())
        {
            File.WriteAllText(Path.Combine(folder, name + ".cu"), text);
            File.WriteAllText(Path.Combine(folder, name + ".ptx"), nvrtc.Compile(text, name, architecture).Ptx);
        }

        using var stream = File.Create(Path.Combine(folder, "launches.json"));
        using Utf8JsonWriter json = new(stream, new() { Indented = true });
        json.WriteStartArray();
        foreach (var one in cases)
        {
            RecordingLauncher launcher = new(multiprocessors) { OperandCount = one.Operands.Length };
            try
            {
                one.Launch(launcher, operand => new((nint)(Array.IndexOf(one.Operands, operand) + 1) << RecordingLauncher.OperandBits, operand.Rows, operand.Columns, operand.Columns, operand.ElementSize));
            }
            catch (NotSupportedException)
            {
                // cuBLAS has products of its own there.
                continue;
            }
            Write(json, one, launcher);
        }
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, KernelCase one, RecordingLauncher launcher)
    {
        json.WriteStartObject();
        json.WriteString("name", one.Name);
        json.WriteString("size", one.Size);
        json.WriteString("module", one.Source.Name);
        json.WriteNumber("parameter", one.Parameter);
        json.WriteNumber("moved_bytes", one.MovedBytes);
        json.WriteStartArray("operands");
        foreach (var operand in one.Operands)
        {
            json.WriteStartObject();
            json.WriteString("name", operand.Name);
            json.WriteString("type", operand.Type.ToString().ToLowerInvariant());
            json.WriteNumber("rows", operand.Rows);
            json.WriteNumber("columns", operand.Columns);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("scratch_bytes");
        foreach (var bytes in launcher.ScratchBytes) json.WriteNumberValue(bytes);
        json.WriteEndArray();
        json.WriteStartArray("launches");
        foreach (var launch in launcher.Launches)
        {
            json.WriteStartObject();
            json.WriteString("kernel", launch.Kernel);
            WritePair("grid", launch.Grid);
            WritePair("block", launch.Block);
            json.WriteStartArray("arguments");
            foreach (var argument in launch.Arguments) Write(json, argument);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();

        void WritePair(string name, (uint X, uint Y) pair)
        {
            json.WriteStartArray(name);
            json.WriteNumberValue(pair.X);
            json.WriteNumberValue(pair.Y);
            json.WriteEndArray();
        }
    }

    /// <summary>An address as the number of its operand, or of its scratch behind the operands; anything else as its bits.</summary>
    private static void Write(Utf8JsonWriter json, CudaArgument argument)
    {
        json.WriteStartObject();
        json.WriteNumber("size", argument.Size);
        if (argument.Size == sizeof(long) && argument.Bits >> RecordingLauncher.OperandBits is > 0 and var number) json.WriteNumber("operand", number - 1);
        else json.WriteNumber("bits", argument.Bits);
        json.WriteEndObject();
    }
}
