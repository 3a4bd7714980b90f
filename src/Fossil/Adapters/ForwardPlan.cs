using Fossil.Kernels.OneRow;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>What a target's forward pass does. Made anew whenever the active adapters change, so that a call only reads it.</summary>
internal abstract class ForwardPlan
{
    /// <summary>The base layer alone: no adapter is active, or all are merged or disabled.</summary>
    public static readonly ForwardPlan Base = new BasePlan();

    private bool hasRun;

    /// <summary>Whether the target's own forward pass is all there is to do.</summary>
    public virtual bool IsBase => false;

    /// <summary>Whether the output has the input's dtype where the product has another one (<see cref="AdapterMethod.ReturnsInputDtype"/>).</summary>
    public virtual bool ReturnsInputDtype => false;

    /// <summary>What is added to the base layer's output for a single row without a gradient; null where more is done, or nothing.</summary>
    public virtual RowTerm? RowTerm => null;

    /// <summary>The layers that take part.</summary>
    protected virtual IEnumerable<AdapterLayer> Layers => [];

    /// <summary>Notes that the layers took part in a forward pass that a backward pass may follow.</summary>
    public void NoteRun()
    {
        if (hasRun || !is_grad_enabled()) return;
        foreach (var layer in Layers) layer.HasRun = true;
        hasRun = true;
    }

    /// <summary>The pass of the only method that takes part; null where there is none, or more than one.</summary>
    public virtual (AdapterMethod Method, TargetPass Pass)? OnlyPass(AdaptedTarget target, Tensor input) => null;

    /// <summary>The output for an input in the base weight's dtype.</summary>
    public abstract Tensor Run(AdaptedTarget target, Tensor input);

    /// <summary>The same adapters for all rows.</summary>
    public static ForwardPlan ForLayers(IReadOnlyList<AdapterLayer> layers) => layers.Count == 0 ? Base : new LayersPlan(layers);

    /// <summary>One adapter, or none, for each row.</summary>
    /// <param name="rows">The layer of each row of the batch; null for the base alone.</param>
    public static ForwardPlan ForRows(IReadOnlyList<AdapterLayer?> rows) => rows.All(layer => layer is null) ? new CheckedBasePlan(rows.Count) : new RowsPlan(rows);

    private sealed class BasePlan : ForwardPlan
    {
        public override bool IsBase => true;

        public override Tensor Run(AdaptedTarget target, Tensor input) => target.Base.Forward(input);
    }

    private sealed class LayersPlan : ForwardPlan
    {
        private readonly (AdapterMethod Method, AdapterLayer[] Layers)[] groups;

        // The method whose layers act on the weight itself goes first, then one that scales; the others add to its output. What a method adds is apart where another one scales before it.
        public LayersPlan(IReadOnlyList<AdapterLayer> layers)
        {
            var scales = layers.Any(layer => layer.Scales);
            groups =
            [
                .. layers.GroupBy(layer => (layer.Method, IsEarly: scales && layer.Chains)).Select(group => (group.Key.Method, group.ToArray()))
                    .OrderBy(group => group.Item2.Min(layer => layer.Chains ? layer.Order : int.MaxValue)),
            ];
        }

        public override bool ReturnsInputDtype => groups[^1].Method.ReturnsInputDtype;

        public override RowTerm? RowTerm => groups is [(_, [var only])] ? only.RowTerm : null;

        protected override IEnumerable<AdapterLayer> Layers => groups.SelectMany(group => group.Layers);

        public override (AdapterMethod Method, TargetPass Pass)? OnlyPass(AdaptedTarget target, Tensor input) => groups is [(var method, var layers)] ? (method, TargetPass.Of(target, input, layers)) : null;

        public override Tensor Run(AdaptedTarget target, Tensor input) => Run(target, input, groups.Length);

        /// <summary>The output with the first <paramref name="count"/> groups, each on those before it.</summary>
        private Tensor Run(AdaptedTarget target, Tensor input, int count)
        {
            var (method, layers) = groups[count - 1];
            return method.Apply(TargetPass.Of(target, input, layers, count == 1 ? null : earlier => Run(target, earlier, count - 1)));
        }
    }

    private sealed class CheckedBasePlan(int batch) : ForwardPlan
    {
        public override Tensor Run(AdaptedTarget target, Tensor input)
        {
            CheckBatch(target, input, batch);
            return target.Base.Forward(input);
        }
    }

    private sealed class RowsPlan : ForwardPlan
    {
        private readonly RowRun[] runs;
        private readonly AdapterMethod? method;
        private readonly int batch;

        public RowsPlan(IReadOnlyList<AdapterLayer?> rows)
        {
            batch = rows.Count;
            var methods = rows.Where(layer => layer is not null).Select(layer => layer!.Method).Distinct().ToArray();
            method = methods.Length == 1 ? methods[0] : null;
            var runs = new List<RowRun>();
            for (var start = 0; start < batch;)
            {
                var end = start + 1;
                while (end < batch && rows[end] == rows[start]) end++;
                runs.Add(new RowRun(rows[start], start, end - start));
                start = end;
            }
            this.runs = [.. runs];
        }

        public override bool ReturnsInputDtype => method?.ReturnsInputDtype == true;

        protected override IEnumerable<AdapterLayer> Layers => runs.Select(run => run.Layer).OfType<AdapterLayer>();

        public override Tensor Run(AdaptedTarget target, Tensor input)
        {
            CheckBatch(target, input, batch);
            return method is null ? RowRun.ForwardEach(target, input, runs) : method.ForwardRows(target, input, runs);
        }
    }

    private static void CheckBatch(AdaptedTarget target, Tensor input, int batch)
    {
        if (input.dim() < 2 || input.size(0) != batch)
            throw new AdapterInputException($"The input of '{target.Path}' has shape ({string.Join(", ", input.shape)}), but UseAdapters names an adapter for each of {batch} rows: the first dimension must be {batch}.");
    }
}
