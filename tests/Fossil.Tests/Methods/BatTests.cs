using Fossil.TestData;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Bat on a weight that is changed in several pieces: the formula written out, whose gradients autograd finds.</summary>
public class BatTests
{
    private const int Size = 32;

    [Theory]
    [InlineData(ScalarType.Float32, false, false, 1e-5)]
    [InlineData(ScalarType.Float32, false, true, 1e-5)]
    [InlineData(ScalarType.Float32, true, true, 2e-2)]
    [InlineData(ScalarType.BFloat16, false, false, 1e-2)]
    [InlineData(ScalarType.BFloat16, true, false, 2e-2)]
    [InlineData(ScalarType.BFloat16, true, true, 2e-2)]
    public void A_weight_of_several_pieces_is_changed_as_one(ScalarType dtype, bool bf16Products, bool trainsBase, double tolerance)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        using var model = new OneLinear(1024, 1536, dtype: dtype);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = Size, Variant = FossilVariant.Bat, TargetModules = ["proj"] });
        adapted.AddAdapter("second", new FossilConfig { ShardSize = Size / 2, Variant = FossilVariant.Bat, TargetModules = ["proj"] });
        adapted.SetAdapter("default", "second");
        adapted.Bf16Products = bf16Products;
        model.proj.weight.requires_grad_(trainsBase);
        var shards = adapted.TrainableParameters().Select(named => named.Parameter).Where(parameter => parameter.dim() == 3).ToArray();
        using (no_grad())
        {
            foreach (var shard in shards) shard.copy_(randn_like(shard) * 0.05);
        }

        // Gradients of values that bfloat16 has, so that both see the same.
        var x = randn(3, 5, 1024).to(ScalarType.BFloat16).to(dtype).requires_grad_(true);
        var gradient = randn(3, 5, 1536).to(ScalarType.BFloat16);
        var y = model.forward(x);
        y.backward([gradient.to(y.dtype)]);

        var (exactX, weight, exactShards) = (Exact(x), Exact(model.proj.weight), shards.Select(Exact).ToArray());
        var exact = nn.functional.linear(exactX, exactShards.Aggregate(weight, Changed), Exact(model.proj.bias!));
        exact.backward([gradient.to(ScalarType.Float64)]);
        Check(exact, y);
        Check(exactX.grad!, x.grad!);
        foreach (var (shard, exactShard) in shards.Zip(exactShards)) Check(exactShard.grad!, shard.grad!);
        if (trainsBase) Check(weight.grad!, model.proj.weight.grad!);

        static Tensor Exact(Tensor tensor) => tensor.detach().to(ScalarType.Float64).requires_grad_(true);

        static Tensor Changed(Tensor weight, Tensor shard)
        {
            var (count, size) = (shard.shape[0], shard.shape[1]);
            var blocks = weight.view(count, size, -1, size).permute(0, 2, 1, 3);
            return (blocks + blocks.matmul(shard.unsqueeze(1)) + shard.unsqueeze(1)).permute(0, 2, 1, 3).reshape(weight.shape);
        }

        void Check(Tensor expected, Tensor actual) => Assert.InRange(Distance.Relative(actual.detach(), expected.detach()), 0, tolerance);
    }
}
