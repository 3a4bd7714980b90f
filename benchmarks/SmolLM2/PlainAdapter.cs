using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

/// <summary>A projection with an adapter as PEFT's formulas have it, in TorchSharp's operations.</summary>
/// <param name="products">What the adapter multiplies: float32, or bfloat16 as under autocast. Its parameters are float32.</param>
internal abstract class PlainAdapter(ScalarType products)
{
    /// <summary>Its float32 parameters for one projection.</summary>
    public abstract Parameter[] Create(Tensor weight);

    /// <summary>The projection of x (…, in), in the dtype of x.</summary>
    public virtual Tensor Forward(Tensor x, Tensor weight, Parameter[] parameters)
    {
        using var scope = NewDisposeScope();
        var y = functional.linear(x, weight);
        return (y + Term(x.to(float32), parameters)).to(y.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>What is added to the projection of x (…, in), given in float32.</summary>
    protected virtual Tensor Term(Tensor x, Parameter[] parameters) => throw new NotSupportedException();

    /// <summary>An operand of a product.</summary>
    protected Tensor Cast(Tensor operand) => operand.to(products);

    /// <summary>No adapter.</summary>
    public sealed class None() : PlainAdapter(float32)
    {
        public override Parameter[] Create(Tensor weight) => [];

        public override Tensor Forward(Tensor x, Tensor weight, Parameter[] parameters) => functional.linear(x, weight);
    }

    /// <summary>(x A^T) B^T · alpha / rank.</summary>
    public class Lora(int rank, double alpha, ScalarType products = ScalarType.Float32) : PlainAdapter(products)
    {
        protected double Scale => alpha / rank;

        public override Parameter[] Create(Tensor weight) => [new(init.kaiming_uniform_(empty(rank, weight.shape[1]), Math.Sqrt(5))), new(zeros(weight.shape[0], rank))];

        protected override Tensor Term(Tensor x, Parameter[] parameters) => functional.linear(functional.linear(Cast(x), Cast(parameters[0])), Cast(parameters[1])) * Scale;
    }

    /// <summary>LoRA's output scaled by m / ‖W + s B A‖, the norm without a gradient.</summary>
    public sealed class Dora(int rank, double alpha, ScalarType products = ScalarType.Float32) : Lora(rank, alpha, products)
    {
        public override Parameter[] Create(Tensor weight)
        {
            using var noGrad = no_grad();
            var factors = base.Create(weight);
            return [.. factors, new(Norm(weight, factors))];
        }

        public override Tensor Forward(Tensor x, Tensor weight, Parameter[] parameters)
        {
            using var scope = NewDisposeScope();
            var y = functional.linear(x, weight);
            Tensor norm;
            using (no_grad()) norm = Norm(weight, parameters);
            var scale = parameters[2] / norm;
            return (y + ((scale - 1) * y) + (scale * Term(x.to(float32), parameters))).to(y.dtype).MoveToOuterDisposeScope();
        }

        private Tensor Norm(Tensor weight, Parameter[] factors)
        {
            using var scope = NewDisposeScope();
            // PEFT runs a unit matrix through the factors.
            var unit = eye(weight.shape[1]);
            var product = functional.linear(functional.linear(Cast(unit), Cast(factors[0])), Cast(factors[1])).t();
            return (weight.to(float32) + (product * Scale)).norm(1).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The sum of x's shards, times S (r, out), or S (r, width) repeated.</summary>
    public sealed class Shard(int size, ScalarType products = ScalarType.Float32, int? width = null) : PlainAdapter(products)
    {
        public override Parameter[] Create(Tensor weight) => [new(zeros(size, width ?? weight.shape[0]))];

        public override Tensor Forward(Tensor x, Tensor weight, Parameter[] parameters)
        {
            using var scope = NewDisposeScope();
            var y = functional.linear(x, weight);
            var shard = width is null ? (Tensor)parameters[0] : parameters[0].repeat(1, weight.shape[0] / width.Value);
            var sum = x.to(float32).reshape([.. x.shape[..^1], x.shape[^1] / size, size]).sum(-2);
            return (y + Cast(sum).matmul(Cast(shard))).to(y.dtype).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The projection by W + ΔW, ΔW_ij = W_ij D_i + D_i.</summary>
    public sealed class Bat(int size, ScalarType products = ScalarType.Float32) : PlainAdapter(products)
    {
        public override Parameter[] Create(Tensor weight) => [new(zeros(weight.shape[0] / size, size, size))];

        public override Tensor Forward(Tensor x, Tensor weight, Parameter[] parameters)
        {
            using var scope = NewDisposeScope();
            var shard = parameters[0];
            var blocks = weight.reshape(weight.shape[0] / size, size, weight.shape[1] / size, size).permute(2, 0, 1, 3);
            var change = Cast(blocks).matmul(Cast(shard)) + shard;
            var changed = weight + change.permute(1, 2, 0, 3).reshape(weight.shape);
            return functional.linear(Cast(x), Cast(changed)).to(x.dtype).MoveToOuterDisposeScope();
        }
    }
}
