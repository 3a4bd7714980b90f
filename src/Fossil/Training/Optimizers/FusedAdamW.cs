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
/// <c>Module.to</c> makes new parameters, so create the optimizer after moving the model; <see cref="step"/> throws where it can tell. Parameters of an adapted model whose layers never ran have
/// gradients from the start, of the zeros that <see cref="zero_grad"/> leaves too.
/// </remarks>
public sealed partial class FusedAdamW : OptimizerHelper, IOptimizer
{
    // What one pass updates at the most: kernels may count elements in 32 bits.
    private const long LongestPass = 1L << 28;

    private readonly List<Entry> entries = [];
    private readonly List<FlatBuffers> buffers = [];
    private readonly DeadGraphs deadGraphs = new();
    private readonly IReadOnlyList<AdaptedModel> models;
    private readonly Dictionary<Parameter, FlatBuffers.Slot> slots = new(ReferenceEqualityComparer.Instance);
    private bool hasStepped;

    // Whether gradients come by Backward, for which nothing need be zeroed.
    private bool hasOwnPasses;

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
        LargeAllocations.KeepApart();
        DeadGraphs.CollectLoading();
        _parameter_groups = [];
        var filled = Filled(groups);
        Parameter[] all = [.. filled.SelectMany(group => group.Parameters).Select(named => named.Parameter)];
        models = AdapterParameters.OwnersOf(all);
        var free = SlotsFor(AdapterParameters.Movable(all));
        foreach (var (parameters, weightDecay) in filled)
        {
            var options = new Options { LearningRate = learningRate, InitialLearningRate = learningRate, Beta1 = beta1, Beta2 = beta2, Epsilon = epsilon, WeightDecay = weightDecay };
            var group = new ParamGroup<Options>(parameters.Select(named => named.Parameter).ToList(), options);
            _parameter_groups.Add(group);
            foreach (var (name, parameter) in parameters)
            {
                if (free.Remove(parameter, out var slot)) slots.Add(parameter, slot);
                var state = new State(parameter, slot);
                _state[parameter.Handle] = state;
                entries.Add(new(name, parameter, state, group, slot));
            }
        }

        MoveUnused();
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

    /// <inheritdoc/>
    IReadOnlyList<GradientPlace> IOptimizer.GradientPlaces => [.. entries.Select(entry => new GradientPlace(entry.Name, entry.Parameter, entry.Slot))];

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

    /// <summary>
    /// Computes the gradients, as <c>loss.backward()</c> does, but faster: the layers of an adapted model write those of its parameters where <see cref="step"/> reads them. What is there already they
    /// add to, so several losses may follow each other.
    /// </summary>
    /// <remarks>No other thread may go back through the model meanwhile, and a custom autograd function in it may not ask <c>autograd.grad</c> in its backward pass.</remarks>
    /// <param name="loss">A scalar.</param>
    public void Backward(Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        hasOwnPasses = true;
        using var pass = FlatBuffers.Accumulate(slots);
        loss.backward();
    }

    /// <summary>
    /// Takes all gradients out. Those of an adapted model's parameters are then zeros in one buffer, which the backward pass adds to (PyTorch: <c>set_to_none=False</c>), unless they come by
    /// <see cref="Backward"/>, which needs none; others' are null. A parameter that gets none is left out of <see cref="step"/> either way.
    /// </summary>
    public override void zero_grad()
    {
        using var withoutGradient = no_grad();
        if (!hasOwnPasses) buffers.ForEach(buffer => buffer.ClearGradients());
        foreach (var entry in entries) entry.ClearGradient(showZeros: !hasOwnPasses);
    }

    /// <inheritdoc/>
    void IOptimizer.ScaleGradients(double factor)
    {
        using var withoutGradient = no_grad();
        foreach (var buffer in buffers) buffer.ScaleGradients(factor);
        foreach (var entry in entries)
        {
            using var gradient = entry.Parameter.IsInvalid ? null : entry.Parameter.grad;
            if (gradient is not null && entry.Slot?.HoldsGradient(gradient) != true) gradient.mul_(Scalars.Of(factor));
        }
    }

    /// <summary>
    /// The state as named tensors: <c>NAME.exp_avg</c>, <c>NAME.exp_avg_sq</c> (shape of the parameter) and <c>NAME.step</c> (int64 scalar).
    /// </summary>
    /// <returns>The caller disposes the tensors; the moments share memory with the optimizer.</returns>
    public IReadOnlyList<(string Name, Tensor Tensor)> GetState()
    {
        var tensors = new List<(string, Tensor)>();
        foreach (var (name, _, state, _, _) in entries)
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
        foreach (var (name, _, state, _, _) in entries)
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
        foreach (var entry in entries)
        {
            // A gradient that nothing was added to would look like one of zeros to others.
            using var gradient = entry.Parameter.IsInvalid || entry.Slot is null ? null : entry.Parameter.grad;
            if (gradient is not null && entry.Slot!.HoldsGradient(gradient) && !FlatBuffers.HasGradient(gradient)) entry.Parameter.grad = null;
            entry.State.Dispose();
        }

        foreach (var buffer in buffers) buffer.Dispose();
        entries.Clear();
        buffers.Clear();
    }

    private void Update()
    {
        var haveGradients = buffers.ToDictionary(buffer => buffer, buffer => buffer.HaveGradients());
        var gradients = entries.Select(entry => entry.FindGradient(haveGradients)).ToArray();
        try
        {
            if (Array.TrueForAll(gradients, gradient => gradient is null))
            {
                throw new NoGradientException(
                    $"None of the {entries.Count} parameters has a gradient. Call backward() first; and if the model was moved or cast with to(), create the optimizer after that: to() makes new parameters.");
            }

            // All are checked before the first is changed.
            foreach (var (name, parameter, state, _, _) in entries) state.CheckDevice(name, parameter);
            if (!hasStepped) ReportMissing(gradients);
            hasStepped = true;
            Update(gradients);
        }
        finally
        {
            foreach (var gradient in gradients) gradient?.Dispose();
        }
    }

    /// <summary>
    /// Has parameters that nothing was computed from lie in the buffers from the start, with gradients of zeros there for the backward pass to add to: what the first step would move lies between
    /// its activations, and the heap grows around it.
    /// </summary>
    private void MoveUnused()
    {
        using var withoutGradient = no_grad();
        var unused = models.SelectMany(model => model.UnusedParameters()).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance);
        foreach (var entry in entries.Where(entry => entry.Slot is not null && unused.Contains(entry.Parameter)))
        {
            entry.Slot!.TakeValues();
            using var gradient = entry.Parameter.grad;
            if (gradient is null) entry.ClearGradient(showZeros: true);
        }
    }

    /// <summary>Updates what has a gradient: those that lie one behind the other in one pass.</summary>
    private void Update(Tensor?[] gradients)
    {
        foreach (var (entry, gradient) in entries.Zip(gradients))
        {
            if (gradient is not null) entry.State.Step++;
        }

        for (int first = 0, last; first < entries.Count; first = last + 1)
        {
            last = first;
            if (gradients[first] is not { } gradient) continue;
            var entry = entries[first];
            if (!entry.IsFlat(gradient))
            {
                if (entry.Slot?.HoldsGradient(gradient) == false) hasOwnPasses = false;
                AdamWUpdate.Step(entry.Parameter, gradient, entry.State.FirstMoment, entry.State.SecondMoment, entry.Coefficients());
                entry.Slot?.TakeValues();
                continue;
            }

            while (last + 1 < entries.Count && gradients[last + 1] is { } next && entries[last + 1].IsFlat(next) && entries[last + 1].Continues(entries[last]) && entries[last + 1].Slot!.Offset - entry.Slot!.Offset < LongestPass) last++;
            var (values, flat, firstMoments, secondMoments) = entry.Slot!.Buffers.Range(entry.Slot, entries[last].Slot!);
            using (values)
            using (flat)
            using (firstMoments)
            using (secondMoments) AdamWUpdate.Step(values, flat, firstMoments, secondMoments, entry.Coefficients());
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

    /// <summary>The groups that are not empty.</summary>
    private static List<(List<(string Name, Parameter Parameter)> Parameters, double WeightDecay)> Filled(IEnumerable<(IEnumerable<(string Name, Parameter Parameter)> Parameters, double WeightDecay)> groups)
    {
        var filled = new List<(List<(string Name, Parameter Parameter)> Parameters, double WeightDecay)>();
        var names = new HashSet<string>();
        foreach (var (group, weightDecay) in groups)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(weightDecay);
            var parameters = group.ToList();
            if (parameters.Find(named => !names.Add(named.Name)) is { Name: { } twice }) throw new ArgumentException($"Two parameters have the name '{twice}'.", nameof(groups));
            if (parameters.Count > 0) filled.Add((parameters, weightDecay));
        }

        if (filled.Count == 0) throw new ArgumentException("There is no parameter to optimize: attach adapters, or unfreeze one, first.", nameof(groups));
        return filled;
    }

    /// <summary>Slots in the order of the parameters, each in the buffers of its dtype and device.</summary>
    private Dictionary<Parameter, FlatBuffers.Slot> SlotsFor(IReadOnlyList<Parameter> parameters)
    {
        var slots = new Dictionary<Parameter, FlatBuffers.Slot>(ReferenceEqualityComparer.Instance);
        foreach (var parameter in parameters)
        {
            var fitting = buffers.Find(buffer => buffer.Fit(parameter));
            if (fitting is null) buffers.Add(fitting = new(parameter.dtype, parameter.device));
            slots.TryAdd(parameter, fitting.Add(parameter));
        }

        return slots;
    }
}
