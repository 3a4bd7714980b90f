using System.Text.Json;

namespace Fossil.CudaCheck;

/// <summary>The results as one JSON file.</summary>
internal static class Report
{
    public static void Write(string path, IReadOnlyDictionary<string, string> device, double copyBandwidth, int launches, IReadOnlyList<CaseResult> results)
    {
        using var stream = File.Create(path);
        using Utf8JsonWriter json = new(stream, new() { Indented = true });
        json.WriteStartObject();
        json.WriteStartObject("device");
        foreach (var (name, value) in device) json.WriteString(name, value);
        json.WriteEndObject();
        json.WriteNumber("copy_gigabytes_per_second", Math.Round(copyBandwidth, 1));
        json.WriteNumber("launches", launches);
        json.WriteStartArray("cases");
        foreach (var result in results)
        {
            json.WriteStartObject();
            json.WriteString("name", result.Case.Name);
            json.WriteString("size", result.Case.Size);
            json.WriteBoolean("passed", result.Passed);
            json.WriteString("worst_operand", result.Where);
            // JSON has no number for what a kernel that went wrong may give.
            if (double.IsFinite(result.Worst)) json.WriteNumber("worst_error_of_tolerance", Math.Round(result.Worst, 4));
            else json.WriteNull("worst_error_of_tolerance");
            json.WriteNumber("microseconds", Math.Round(result.Microseconds, 3));
            json.WriteNumber("host_microseconds", Math.Round(result.HostMicroseconds, 3));
            json.WriteNumber("moved_bytes", result.Case.MovedBytes);
            json.WriteNumber("gigabytes_per_second", Math.Round(result.GigabytesPerSecond, 1));
            json.WriteNumber("share_of_copy", Math.Round(result.GigabytesPerSecond / copyBandwidth, 3));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
