using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>The decoder is compiled before anybody chooses a shard size: kernels of the usual ones come with it.</summary>
public class ShardSizeTests
{
    [Fact]
    public void Usual_shard_sizes_have_kernels_and_another_is_told_how_to_get_them()
    {
        using var scope = NewDisposeScope();
        var warnings = CollectedWarnings.During(() =>
        {
            foreach (var size in new[] { 4, 8, 16, 32, 64, 128, 256, 19 })
            {
                using var model = TinyModels.Create();
                using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = size, AllowPadding = true, TargetModules = ["q_proj", "down_proj"] });
            }
        });

        var missing = Assert.Single(warnings, warning => warning.Contains("No kernels", StringComparison.Ordinal));
        Assert.EndsWith("write in your project: [assembly: FossilShardSizes(19)]", missing, StringComparison.Ordinal);
    }
}
