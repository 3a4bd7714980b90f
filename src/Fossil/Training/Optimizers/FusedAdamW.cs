using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// AdamW with decoupled weight decay (arXiv 1711.05101; PyTorch: <c>torch.optim.AdamW</c>), updating each float32 parameter on the CPU in one pass
/// and without temporaries. Its numbers are those of <c>torch.optim.AdamW</c>; its state can be read and written by name.
/// </summary>
/// <remarks>
/// An ordinary TorchSharp optimizer: <c>zero_grad</c>, <c>step</c>, the learning-rate schedulers and <c>state_dict</c> work as usual.
/// <c>Module.to</c> makes new parameters, so create the optimizer after moving the model; <see cref="step"/> throws where it can tell.
/// </remarks>
public sealed partial class FusedAdamW : OptimizerHelper
{
    private readonly List<(string Name, Parameter Parameter, State State, ParamGroup<Options> Group)> entries = [];
    private readonly HashSet<string> names = [];
    private readonly Func<Options> newOptions;
    private readonly DeadGraphs deadGraphs = new();
    private readonly IReadOnlyList<AdaptedModel> models;
    private bool hasStepped;

    /// <summary>Creates the optimizer over one group of parameters.</summary>
    /// <param name="parameters">Named parameters; the names identify the saved state.</param>
    /// <param name="learningRate">Learning rate.</param>
    /// <param name="beta1">Decay of the running mean of the gradient.</param>
    /// <param name="beta2">Decay of the running mean of its square.</param>
    /// <param name="epsilon">Added to the denominator.</param>
    /// <param name="weightDecay">Decoupled weight decay.</param>
    /// <exception cref="ArgumentException">A setting is out of range, there is no parameter, or two have the same name.</exception>
    public FusedAdamW(
        IEnumerable<(string Name, Parameter Parameter)> parameters,
        double learningRate = 1e-3,
        double beta1 = 0.9,
        double beta2 = 0.999,
        double epsilon = 1e-8,
        double weightDecay = 0)
        : this([(parameters, weightDecay)], learningRate, beta1, beta2, epsilon)
    {
    }

    /// <summary>Creates the optimizer over several groups, each with its own weight decay.</summary>
    /// <param name="groups">Named parameters and the weight decay of each group; empty groups are left out.</param>
    /// <param name="learningRate">Learning rate of all groups.</param>
    /// <param name="beta1">Decay of the running mean of the gradient.</param>
    /// <param name="beta2">Decay of the running mean of its square.</param>
    /// <param name="epsilon">Added to the denominator.</param>
    /// <exception cref="ArgumentException">A setting is out of range, there is no parameter, or two have the same name.</exception>
    public FusedAdamW(
        IEnumerable<(IEnumerable<(string Name, Parameter Parameter)> Parameters, double WeightDecay)> groups,
        double learningRate = 1e-3,
        double beta1 = 0.9,
        double beta2 = 0.999,
        double epsilon = 1e-8)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(learningRate);
        ArgumentOutOfRangeException.ThrowIfNegative(epsilon);
        CheckBeta(beta1, nameof(beta1));
        CheckBeta(beta2, nameof(beta2));
        _parameter_groups = [];
        newOptions = () => new Options { LearningRate = learningRate, InitialLearningRate = learningRate, Beta1 = beta1, Beta2 = beta2, Epsilon = epsilon };
        foreach (var (parameters, weightDecay) in groups) AddGroup(parameters.ToList(), weightDecay);
        models = AdapterParameters.OwnersOf(entries.Select(entry => entry.Parameter));
        if (entries.Count == 0) throw new ArgumentException("There is no parameter to optimize: attach adapters, or unfreeze one, first.", nameof(groups));
    }

    /// <summary>The learning rate of all groups; reading gives the first group's.</summary>
    public double LearningRate
    {
        get => ParamGroups.First().LearningRate;
        set
        {
            foreach (var group in ParamGroups) group.LearningRate = value;
        }
    }

    /// <summary>The names of the parameters, in the order of the groups.</summary>
    public IEnumerable<string> ParameterNames => entries.Select(entry => entry.Name);

    /// <summary>Performs one update of every parameter that has a gradient, and then, at most a fiftieth of the time, collects the garbage of earlier steps.</summary>
    /// <param name="closure">Evaluates the loss anew; optional.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <remarks>It waits until no other thread is in the model. The first step names the parameters of adapters whose layers ran and that yet have no gradient (<see cref="FossilWarnings"/>).</remarks>
    /// <exception cref="NoGradientException">No parameter has a gradient.</exception>
    /// <exception cref="AdapterBackwardException">The backward pass failed; no parameter was changed.</exception>
    /// <exception cref="OptimizerStateException">The optimizer was moved to another device than its parameters.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = null;
        if (closure is not null)
        {
            using (enable_grad()) loss = closure();
        }

        using var withoutGradient = no_grad();
        var entered = new Stack<ModelGuard.Entry>();
        try
        {
            foreach (var model in models) entered.Push(model.EnterToStep());
            if (models.Count == 0) BackwardFailures.OfThread.ThrowAndForget();
            Update();
        }
        finally
        {
            while (entered.TryPop(out var entry)) entry.Dispose();
        }

        deadGraphs.Collect();
        return loss;
    }

    /// <summary>Drops the gradients, so that the next backward pass writes them instead of adding to zeros (PyTorch: <c>set_to_none=True</c>).</summary>
    public override void zero_grad()
    {
        foreach (var entry in entries)
        {
            if (!entry.Parameter.IsInvalid) entry.Parameter.grad = null;
        }
    }

    /// <summary>
    /// The state as named tensors: <c>NAME.exp_avg</c>, <c>NAME.exp_avg_sq</c> (shape of the parameter) and <c>NAME.step</c> (int64 scalar).
    /// </summary>
    /// <returns>The caller disposes the tensors; the moments share memory with the optimizer.</returns>
    public IReadOnlyList<(string Name, Tensor Tensor)> GetState()
    {
        var tensors = new List<(string, Tensor)>();
        foreach (var (name, _, state, _) in entries)
        {
            tensors.Add(($"{name}.exp_avg", state.FirstMoment.alias()));
            tensors.Add(($"{name}.exp_avg_sq", state.SecondMoment.alias()));
            tensors.Add(($"{name}.step", tensor(state.Step)));
        }

        return tensors;
    }

    /// <summary>Takes over the state that <see cref="GetState"/> gave, bit for bit.</summary>
    /// <param name="find">Gives the tensor of a name; it is copied, and disposed here.</param>
    /// <exception cref="ArgumentException">A tensor has another shape than the parameter.</exception>
    public void SetState(Func<string, Tensor> find)
    {
        using var withoutGradient = no_grad();
        foreach (var (name, _, state, _) in entries)
        {
            Copy(state.FirstMoment, $"{name}.exp_avg");
            Copy(state.SecondMoment, $"{name}.exp_avg_sq");
            using var step = find($"{name}.step");
            using var integer = step.to(ScalarType.Int64);
            state.Step = integer.item<long>();
        }

        void Copy(Tensor target, string name)
        {
            using var source = find(name);
            if (!source.shape.SequenceEqual(target.shape))
            {
                throw new ArgumentException($"'{name}' has shape ({string.Join(", ", source.shape)}), the parameter has ({string.Join(", ", target.shape)}).");
            }

            target.copy_(source);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!disposing) return;
        foreach (var entry in entries) entry.State.Dispose();
        entries.Clear();
    }

    private void Update()
    {
        var gradients = entries.Select(entry => entry.Parameter.IsInvalid ? null : entry.Parameter.grad).ToArray();
        try
        {
            if (Array.TrueForAll(gradients, gradient => gradient is null))
            {
                throw new NoGradientException(
                    $"None of the {entries.Count} parameters has a gradient. Call backward() first; and if the model was moved or cast with to(), create the optimizer after that: to() makes new parameters.");
            }

            // All are checked before the first is changed.
            foreach (var (name, parameter, state, _) in entries) state.CheckDevice(name, parameter);
            if (!hasStepped) ReportMissing(gradients);
            hasStepped = true;
            foreach (var ((_, parameter, state, group), gradient) in entries.Zip(gradients))
            {
                if (gradient is null) continue;
                var options = group.Options;
                state.Step++;
                AdamWKernel.Step(parameter, gradient, state.FirstMoment, state.SecondMoment,
                    new(options.LearningRate!.Value, options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay, state.Step));
            }
        }
        finally
        {
            foreach (var gradient in gradients) gradient?.Dispose();
        }
    }

    private void ReportMissing(Tensor?[] gradients)
    {
        var without = entries.Zip(gradients).Where(pair => pair.Second is null && !pair.First.Parameter.IsInvalid).Select(pair => pair.First.Parameter).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance);
        if (without.Count == 0) return;
        foreach (var model in models) model.ReportMissingGradients(without);
    }

    private static void CheckBeta(double beta, string name)
    {
        if (beta is < 0 or >= 1 or double.NaN) throw new ArgumentOutOfRangeException(name, beta, "Must be at least 0 and below 1.");
    }

    private void AddGroup(IReadOnlyList<(string Name, Parameter Parameter)> parameters, double weightDecay)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(weightDecay);
        if (parameters.Count == 0) return;
        var group = new ParamGroup<Options>(parameters.Select(named => named.Parameter).ToList(), newOptions());
        group.Options.WeightDecay = weightDecay;
        _parameter_groups.Add(group);
        foreach (var (name, parameter) in parameters)
        {
            if (!names.Add(name)) throw new ArgumentException($"Two parameters have the name '{name}'.", nameof(parameters));
            var state = new State(parameter);
            _state[parameter.Handle] = state;
            entries.Add((name, parameter, state, group));
        }
    }
}
