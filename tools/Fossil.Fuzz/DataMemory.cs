using System.Diagnostics;
using System.Globalization;
using Fossil.Models;
using Fossil.Models.Data;

namespace Fossil.Fuzz;

/// <summary>Measures what a data file costs in memory: what is kept of each token and line, and how much more there was at any moment while it was read.</summary>
internal static class DataMemory
{
    public const string Command = "data-memory";

    public static void Run(int lines)
    {
        var path = Path.GetTempFileName();
        try
        {
            using (var writer = new StreamWriter(path)) for (var line = 0; line < lines; line++) writer.WriteLine(Line(line));
            var tokenizer = ByteLevelTokenizer.Create();
            // What is made once: the template, compiled code.
            ChatData.FromRows(JsonRows.Read(path).Take(1000), tokenizer, 512, path);

            var (before, clock, peak) = (GC.GetTotalMemory(forceFullCollection: true), Stopwatch.StartNew(), 0L);
            using var sampler = new Timer(_ => peak = Math.Max(peak, GC.GetGCMemoryInfo(GCKind.FullBlocking).HeapSizeBytes), null, 0, 50);
            using var collector = new Timer(_ => GC.Collect(2, GCCollectionMode.Forced, blocking: true), null, 5000, 5000);
            var data = ChatData.FromJsonl(path, tokenizer, 512);
            var seconds = clock.Elapsed.TotalSeconds;
            var kept = GC.GetTotalMemory(forceFullCollection: true) - before;
            var report = data.Report;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{report.Examples:N0} lines of {new FileInfo(path).Length / 1e6:F0} MB, {report.Tokens:N0} tokens, in {seconds:F0} s"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"kept: {kept / 1e6:F1} MB, {(kept - (4.125 * report.Tokens)) / report.Examples:F1} bytes a line beside 4.125 a token; {kept / (double)report.Tokens:F2} bytes a token in all"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"most that was alive while reading, by full collections each 5 s: {(peak - before) / 1e6:F1} MB; 6 bytes a token and 64 a line are {((6.0 * report.Tokens) + (64.0 * report.Examples)) / 1e6:F1} MB"));
            GC.KeepAlive(data);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Half of the lines are conversations, half prompts with completions; a field that is ignored makes them longer.</summary>
    private static string Line(int number) => number % 2 == 0
        ? $$"""{"messages": [{"role": "user", "content": "What is {{number}} and {{number}}?"}, {"role": "assistant", "content": "{{2L * number}}."}], "source": "{{new string('s', 200)}}"}"""
        : $$"""{"prompt": "{{number}} + {{number}} = ", "completion": "{{2L * number}}", "id": {{number}}}""";
}
