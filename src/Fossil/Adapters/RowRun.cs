using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>Consecutive rows of a mixed batch that use the same adapter.</summary>
/// <param name="Layer">The layer to use; null for the base alone.</param>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
public readonly record struct RowRun(AdapterLayer? Layer, long Start, long Count)
{
    /// <summary>Passes each run through the target by itself, with whatever method its layer is of.</summary>
    internal static Tensor ForwardEach(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs)
    {
        var outputs = new List<Tensor>(runs.Count);
        try
        {
            foreach (var run in runs)
            {
                using var rows = input.narrow(0, run.Start, run.Count);
                outputs.Add(run.Layer is { } layer ? layer.Method.Forward(target, rows, [layer]) : target.Base.Forward(rows));
            }
            return cat(outputs, 0);
        }
        finally
        {
            foreach (var output in outputs) output.Dispose();
        }
    }
}
