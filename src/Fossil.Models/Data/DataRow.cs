using System.Text.Json.Nodes;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>A row of a data file: one JSON object, of whatever form.</summary>
/// <param name="Path">The file.</param>
/// <param name="Line">The line, or the number of the row in a file without lines; from 1.</param>
/// <param name="Value">The row's fields.</param>
public sealed record DataRow(string Path, long Line, JsonObject Value)
{
    /// <summary>What <see cref="Line"/> counts, for messages: <c>line</c> or <c>row</c>.</summary>
    public string Unit { get; init; } = "line";

    /// <summary>What is wrong with this row.</summary>
    internal TrainingDataException Error(string reason, Exception? inner = null) => new(Path, Line, reason, inner, Unit);
}
