using System.Globalization;
using System.Text.RegularExpressions;

namespace Fossil.Cuda.Tests;

/// <summary>What ptxas says of a kernel.</summary>
internal sealed partial record CompiledKernel(string Name, int Registers, int Shared, int Stack, int SpillStores, int SpillLoads)
{
    /// <summary>The kernels in a log that was made with <c>--ptxas-options=-v</c>.</summary>
    public static IReadOnlyList<CompiledKernel> Of(string log) => [.. Entry().Matches(log).Select(match =>
    {
        int Number(string group) => match.Groups[group].Success ? int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture) : 0;
        return new CompiledKernel(match.Groups["name"].Value, Number("registers"), Number("shared"), Number("stack"), Number("stores"), Number("loads"));
    })];

    [GeneratedRegex(@"Compiling entry function '(?<name>\w+)'(?:(?!Compiling).)*?(?<stack>\d+) bytes stack frame, (?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads(?:(?!Compiling).)*?Used (?<registers>\d+) registers[^\n]*?(?:(?<shared>\d+) bytes smem[^\n]*)?\n", RegexOptions.Singleline)]
    private static partial Regex Entry();
}
