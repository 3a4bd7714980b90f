using Fossil.Llama.Tests;
using Fossil.Models.Tokenizers;

/// <summary>What an adapter that was trained over a file changes in perplexity on held-out text.</summary>
/// <param name="File">The file.</param>
/// <param name="Steps">Training steps.</param>
/// <param name="Base">The base's perplexity here.</param>
/// <param name="Adapted">With the adapter, here.</param>
/// <param name="ServedBase">The base's in llama.cpp.</param>
/// <param name="ServedAdapted">With the adapter in llama.cpp.</param>
/// <param name="DifferenceOfChange">By how much the change differs in llama.cpp.</param>
/// <param name="DifferenceOfBase">By how much the base's perplexity differs there.</param>
internal sealed record ServedPerplexity(string File, int Steps, double Base, double Adapted, double ServedBase, double ServedAdapted, double DifferenceOfChange, double DifferenceOfBase)
{
    private const int Length = 256, HeldOut = 16;

    public static ServedPerplexity Run(string path, string text, int steps)
    {
        var windows = PretrainedTokenizer.FromGguf(path).Encode(System.IO.File.ReadAllText(text)).Chunk(Length).Where(ids => ids.Length == Length).ToArray();
        var folder = Directory.CreateTempSubdirectory("fossil-served-");
        try
        {
            var served = ServedAdapter.Measure(path, windows, HeldOut, steps, folder.FullName);
            return new(Path.GetFileName(path), steps, served.Base, served.Adapted, served.ServedBase, served.ServedAdapted, served.DifferenceOfChange, served.DifferenceOfBase);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public override string ToString() =>
        $"{File}, FOSSIL r=64, {Steps} steps: perplexity {Base:f2} to {Adapted:f2} here, {ServedBase:f2} to {ServedAdapted:f2} in llama.cpp; the change differs by {DifferenceOfChange:p2}, the base by {DifferenceOfBase:p2}";
}
