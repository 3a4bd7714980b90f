using System.Reflection;
using Fossil.Benchmarks;

namespace Fossil.Tests.Documentation;

/// <summary>The tables of measurements in the documents are those that the committed results give: <c>benchmarks/Fossil.Benchmarks -- report</c> writes them.</summary>
public sealed class ResultTableTests
{
    private static readonly string Root = typeof(ResultTableTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(entry => entry.Key == "RepositoryRoot").Value!;

    private static readonly BenchmarkResults[] Results = [.. BenchmarkResults.ReadAll(Path.Combine(Root, "benchmarks", "results"))];

    public static TheoryData<string> Documents => [.. DocumentTables.Documents];

    [Theory, MemberData(nameof(Documents))]
    public void A_document_has_the_tables_of_the_results(string name)
    {
        var document = File.ReadAllText(Path.Combine(Root, "docs", name));
        Assert.NotEmpty(Results);
        Assert.Equal(DocumentTables.Rewrite(document, Results), document);
        foreach (var group in Results.SelectMany(machine => machine.Rows).Select(row => row.Group).Distinct())
        {
            Assert.True(DocumentTables.Documents.Any(other => File.ReadAllText(Path.Combine(Root, "docs", other)).Contains($"<!-- results {group} -->", StringComparison.Ordinal)), $"No document shows '{group}'.");
        }
    }

    [Fact]
    public void A_machine_has_one_file_and_a_figure()
    {
        Assert.Equal(Results.Select(machine => machine.Processor).Distinct(), Results.Select(machine => machine.Processor));
        Assert.All(Results, machine => Assert.True(File.Exists(Path.Combine(Root, "docs", "images", machine.FigureName)), machine.FigureName));
    }

    [Fact]
    public void Tables_of_different_machines_stand_one_below_the_other()
    {
        var row = new BenchmarkRow("steps", "FOSSIL", "ms", new(1, 2.5, 3), null, new(4, 5, 6), null, [new("PEFT", 0.5, 1), new("frozen", 1.24, 1.12)]);
        BenchmarkResults Of(string processor) => new(processor, 2, 34.2, "abc", "2026-01-02", "all", [row]);
        var written = DocumentTables.Rewrite("before\n<!-- results steps -->\nold\n<!-- end -->\nafter", [Of("A"), Of("B")]);
        const string table = """
            commit abc, 2026-01-02, `all`

            | ms | here: min, median, max | libtorch | ratio (goal) |
            | --- | ---: | ---: | --- |
            | FOSSIL | 1.00, **2.50**, 3.00 | 5.00 | 0.5 × PEFT (≤ 1); 1.24 × frozen (≤ 1.12, missed) |

            """;
        Assert.Equal($"before\n<!-- results steps -->\n\nA, 2 threads, 34.2 GB/s; {table}\nB, 2 threads, 34.2 GB/s; {table}\n<!-- end -->\nafter", written, ignoreLineEndingDifferences: true);
        Assert.Equal(written, DocumentTables.Rewrite(written, [Of("A"), Of("B")]));
    }
}
