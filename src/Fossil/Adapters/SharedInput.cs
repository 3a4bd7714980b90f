using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// What the calls of a <see cref="ProjectionGroup"/> have together: the first computes the outputs of all whose adapters are of one method, which lie here until their own calls come. Only where a
/// backward pass may follow; elsewhere each call runs by itself.
/// </summary>
internal sealed class SharedInput
{
    // By the input, weakly: where the calls do not come, because what is between them failed, the outputs live no longer than it.
    private static readonly ConditionalWeakTable<Tensor, SharedInput> Inputs = [];

    private readonly ProjectionGroup group;
    private readonly int thread = Environment.CurrentManagedThreadId;
    private readonly List<(AdaptedTarget Target, ForwardPlan Plan, Tensor Output)> outputs;

    private SharedInput(ProjectionGroup group, IEnumerable<(AdaptedTarget, ForwardPlan, Tensor)> outputs) => (this.group, this.outputs) = (group, [.. outputs]);

    /// <summary>The output of a target that was computed with an earlier one's; null where there is none.</summary>
    /// <param name="target">The target.</param>
    /// <param name="plan">What its forward pass does now.</param>
    /// <param name="input">x, the very tensor.</param>
    /// <param name="group">The calls.</param>
    public static Tensor? TryTake(AdaptedTarget target, ForwardPlan plan, Tensor input, ProjectionGroup group)
    {
        if (!Inputs.TryGetValue(input, out var shared) || shared.group != group || shared.thread != Environment.CurrentManagedThreadId) return null;
        var index = shared.outputs.FindIndex(entry => entry.Target == target);
        if (index < 0) return null;
        var (_, earlier, output) = shared.outputs[index];
        shared.outputs.RemoveAt(index);
        if (shared.outputs.Count == 0) Inputs.Remove(input);
        return earlier == plan && !output.IsInvalid ? output : null;
    }

    /// <summary>The output of a target, computed with those of the calls behind it; null where these have nothing to share.</summary>
    public static Tensor? TryRun(AdaptedTarget target, Tensor input, ProjectionGroup group)
    {
        Inputs.Remove(input);
        if (!is_grad_enabled()) return null;
        using var entry = target.Guard!.Enter();
        if (target.SharedPass(input) is not var (plan, method, pass)) return null;
        var passes = new List<(ForwardPlan Plan, TargetPass Pass)> { (plan, pass) };
        foreach (var member in group.Members.SkipWhile(member => member != target.Member).Skip(1))
        {
            if (!target.Siblings.TryGetValue(member, out var sibling) || sibling.Guard != target.Guard) continue;
            if (sibling.SharedPass(input) is var (siblingPlan, siblingMethod, siblingPass) && siblingMethod == method) passes.Add((siblingPlan, siblingPass));
        }

        if (passes.Count == 1 || method.ApplyShared([.. passes.Select(one => one.Pass)]) is not { } outputs) return null;
        foreach (var (planOfOne, _) in passes) planOfOne.NoteRun();
        Inputs.Add(input, new(group, passes.Zip(outputs).Skip(1).Select(pair => (pair.First.Pass.Target, pair.First.Plan, pair.Second))));
        return outputs[0];
    }
}
