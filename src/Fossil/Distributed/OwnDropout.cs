using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>Dropout that is the model's own and not the adapters': libtorch draws it from a generator of each process, so it cannot be that of another number of ranks.</summary>
internal static class OwnDropout
{
    /// <summary>Says which modules have it, where some do.</summary>
    public static void Report(nn.Module model)
    {
        string[] names = [.. model.named_modules().Where(named => Drops(named.module)).Select(named => named.name)];
        if (names.Length == 0) return;
        var others = names.Length == 1 ? "" : $" and {names.Length - 1} more";
        FossilWarnings.Report($"The model's own dropout ('{names[0]}'{others}) is drawn by each rank for itself, so a run with another number of ranks computes something else. Dropout of adapters is drawn by the row of the batch: use that, or put these modules into evaluation mode (eval), where the numbers must be the same.");
    }

    private static bool Drops(nn.Module module) => module.training && module is Dropout { p: > 0 } or Dropout1d { p: > 0 } or Dropout2d { p: > 0 } or Dropout3d { p: > 0 } or AlphaDropout { p: > 0 } or FeatureAlphaDropout { p: > 0 };
}
