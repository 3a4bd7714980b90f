using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>
/// Sums the gradients of an optimizer's parameters over the ranks, in pieces: each as soon as the backward pass is through its layers, in the order in which rank 0's first pass was. What comes apart from adapted layers is summed after it.
/// </summary>
/// <param name="group">The ranks.</param>
/// <param name="places">The parameters, and where their gradients are.</param>
/// <param name="compress">Whether the ranks send bfloat16.</param>
internal sealed class GradientReducer(ProcessGroup group, IReadOnlyList<GradientPlace> places, bool compress = false) : IGradientObserver, IDisposable
{
    private readonly Dictionary<Parameter, int> numbers = Numbers(places);
    private readonly int[] counts = new int[places.Count];
    private readonly int[] order = new int[places.Count];
    private readonly List<LooseGradients> loose = [];
    private GradientPieces? pieces;
    private int[]? expected;
    private int passed;
    private long preparedAt;
    private long endedAt;
    private bool mayOverlap;
    private bool isExact;
    private Exception? failure;

    /// <summary>The parameters.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters => [.. places.Select(place => (place.Name, place.Parameter))];

    /// <summary>Whether a gradient came after the reduction of its piece had begun: the sums of the step are wrong.</summary>
    public bool IsLate { get; private set; }

    /// <inheritdoc/>
    public int NumberOf(Parameter parameter) => numbers.GetValueOrDefault(parameter, -1);

    /// <summary>Multiplies all gradients of this rank.</summary>
    public void Scale(double factor)
    {
        if (factor == 1) return;
        using var withoutGradient = no_grad();
        foreach (var place in places)
        {
            using var gradient = place.Parameter.grad;
            gradient?.mul_(Scalars.Of(factor));
        }
    }

    /// <summary>Before the forward pass whose backward pass completes the gradients of a step, or after it.</summary>
    /// <param name="mayOverlap">Whether pieces may be summed while it runs.</param>
    /// <param name="isExact">Whether float32 travels in any case, and what bfloat16 lost is made up for.</param>
    public void Begin(bool mayOverlap, bool isExact = false)
    {
        (preparedAt, endedAt, this.mayOverlap, this.isExact, IsLate, passed) = (Stopwatch.GetTimestamp(), 0, mayOverlap, isExact, false, 0);
        Array.Clear(counts);
        Array.Clear(order);
        if (pieces is null) Prepare();
        pieces!.Reset();
    }

    /// <summary>Follows the backward pass on this thread until the result is disposed.</summary>
    public GradientProgress Observe() => GradientProgress.Observe(this);

    /// <inheritdoc/>
    public void OnGradients(int[] parameters)
    {
        if (failure is not null) return;
        try
        {
            foreach (var number in parameters)
            {
                counts[number]++;
                order[number] = ++passed;
                if (expected is null || !mayOverlap || !LiesFlat(places[number])) continue;
                if (pieces!.HasBegun(number) || !IsHome(places[number])) IsLate = true;
                else if (counts[number] == expected[number]) pieces.Complete(number, Compresses);
            }

            pieces!.Advance();
        }
        catch (Exception exception)
        {
            // Nothing may be thrown in a backward pass.
            failure = exception;
        }
    }

    /// <inheritdoc/>
    public void OnEnd() => endedAt = Stopwatch.GetTimestamp();

    /// <summary>After the backward pass: waits for all sums.</summary>
    public void Finish()
    {
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
        if (endedAt == 0) OnEnd();
        foreach (var (number, place) in places.Index())
        {
            if (LiesFlat(place) && !pieces!.HasBegun(number)) place.Slot!.TakeGradient();
        }

        foreach (var gradients in loose) gradients.Pack();
        pieces!.BeginRest(Compresses);
        var waiting = group.Await(pieces.Advance, "the sums of gradients");
        foreach (var gradients in loose) gradients.Unpack();
        group.LastReduction = pieces.Report(preparedAt, endedAt, waiting.TotalSeconds);
        if (mayOverlap && expected is null) Learn();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        pieces?.Dispose();
        foreach (var gradients in loose) gradients.Dispose();
        loose.Clear();
    }

    // The first step's pieces are not yet those that stay.
    private bool Compresses => compress && !isExact && expected is not null;

    private static Dictionary<Parameter, int> Numbers(IReadOnlyList<GradientPlace> places)
    {
        var numbers = new Dictionary<Parameter, int>(ReferenceEqualityComparer.Instance);
        for (var number = 0; number < places.Count; number++) numbers.TryAdd(places[number].Parameter, number);
        return numbers;
    }

    /// <summary>Whether gradients are summed where they lie: the same on all ranks, whatever each has a gradient for.</summary>
    private bool LiesFlat(GradientPlace place) => place.Slot is { Buffers: { Dtype: ScalarType.Float32 or ScalarType.Float64 } buffers } && !place.Parameter.IsInvalid && group.Memories.Of(buffers.Place) is not null;

    private static bool IsHome(GradientPlace place)
    {
        using var gradient = place.Parameter.grad;
        return gradient is not null && place.Slot?.HoldsGradient(gradient) == true;
    }

    /// <summary>Takes over from rank 0 how often and in which order the backward pass came to each parameter. Where it had no batch, the next step tells it.</summary>
    private void Learn()
    {
        var bytes = group.Broadcast(MemoryMarshal.AsBytes<int>([.. counts, .. order]).ToArray());
        var both = MemoryMarshal.Cast<byte, int>(bytes);
        if (!both.ContainsAnyExcept(0)) return;
        expected = both[..places.Count].ToArray();
        both[places.Count..].CopyTo(order);
        Prepare();
    }

    private void Prepare()
    {
        Dispose();
        var others = places.Where(place => !LiesFlat(place) && !place.Parameter.IsInvalid).ToLookup(place => (IsDouble: place.Parameter.dtype == ScalarType.Float64, Place: DevicePlace.Of(place.Parameter)), place => place.Parameter);
        foreach (var alike in others)
        {
            var (memory, device) = group.Memories.Beside(alike.Key.Place);
            loose.Add(new([.. alike], alike.Key.IsDouble, memory, device));
        }

        pieces = new(group, [.. places.Index().Where(place => LiesFlat(place.Item)).Select(place => (place.Index, place.Item.Slot!))], loose, expected, order);
    }
}
