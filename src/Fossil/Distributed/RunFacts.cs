using System.Globalization;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>What all ranks of a run must have in common.</summary>
internal static class RunFacts
{
    private const int FirstElements = 8;

    /// <summary>Names and values: libraries, options, data, adapters with their shard sizes, parameters.</summary>
    public static IEnumerable<(string Name, string Value)> Of<TBatch>(
        ITrainable model, TrainingArguments arguments, ITrainingData<TBatch> data, ITrainingData<TBatch>? evaluationData, IReadOnlyList<(string Name, Parameter Parameter)> parameters, string library)
        where TBatch : ITrainingBatch
    {
        yield return ("the library between the processes", library);
        yield return ("the version of Fossil.Gen", VersionOf(typeof(RunFacts)));
        yield return ("the version of TorchSharp", VersionOf(typeof(nn.Module)));
        yield return ("the version of .NET", Environment.Version.ToString());

        // Where they are written is rank 0's business.
        var options = (arguments with { OutputDirectory = null }).ToString();
        foreach (var option in options[(options.IndexOf('{', StringComparison.Ordinal) + 1)..^1].Split(", "))
        {
            var parts = option.Split(" = ", 2);
            yield return ($"{nameof(TrainingArguments)}.{parts[0].Trim()}", parts[^1].Trim());
        }

        yield return ("the number of training examples", Text(data.Count));
        yield return ("the hash of the training data", data.Fingerprint);
        yield return ("the number of evaluation examples", Text(evaluationData?.Count ?? 0));
        yield return ("the hash of the evaluation data", evaluationData?.Fingerprint ?? "none");
        if (model.Adapted is { } adapted)
        {
            foreach (var name in adapted.ActiveAdapters) yield return ($"the configuration of adapter '{name}'", adapted.GetConfig(name).ToJson());
        }

        // What is trained, and what adapters started from, becomes rank 0's.
        var shared = parameters.Select(named => (Tensor)named.Parameter).Concat(model.Adapted?.AdapterBuffers() ?? []).Select(tensor => tensor.Handle).ToHashSet();
        foreach (var (name, tensor) in model.Module.state_dict().Where(entry => !shared.Contains(entry.Value.Handle))) yield return ($"the first values of '{name}'", FirstValues(tensor));
        foreach (var (name, parameter) in parameters) yield return ($"the shape of '{name}'", $"({string.Join(", ", parameter.shape)}), {parameter.dtype}");
    }

    /// <summary>Enough to tell another base; all of it would have to be read.</summary>
    private static string FirstValues(Tensor tensor)
    {
        if (tensor.IsInvalid || tensor.numel() == 0) return "none";
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        var first = tensor.detach().flatten().narrow(0, 0, Math.Min(tensor.numel(), FirstElements)).to(ScalarType.Float64).cpu();
        return string.Join(' ', first.data<double>().ToArray().Select(value => value.ToString("R", CultureInfo.InvariantCulture)));
    }

    private static string VersionOf(Type type) => type.Assembly.GetName().Version?.ToString() ?? "unknown";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
