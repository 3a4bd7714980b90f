using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>A method as all parts of the suite take it: its configuration, PEFT's formula, and its own products for a projection.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Config">Here.</param>
/// <param name="Formula">By libtorch's operations, its products in the dtype given.</param>
/// <param name="Products">Of rows, in and out the shapes of the products that it adds to a frozen step.</param>
internal sealed record MethodCase(string Name, AdapterConfig Config, Func<ScalarType, PlainAdapter> Formula, Func<long, long, long, long[][]> Products)
{
    private const int Size = 64, Rank = 32;

    /// <summary>Whether x is multiplied with a changed weight in place of the base's, in the dtype of the products.</summary>
    public bool ReplacesBase { get; private init; }

    public static readonly MethodCase Fossil = new("FOSSIL r=64", Base.Config(Size), products => new PlainAdapter.Shard(Size, products), (rows, _, outputs) => OfShard(rows, outputs));

    public static readonly MethodCase Lora = new("LoRA r=32", new LoraConfig { Rank = Rank, Alpha = 2 * Rank, TargetModules = [.. Base.Projections] }, products => new PlainAdapter.Lora(Rank, 2 * Rank, products), OfLora);

    public static readonly MethodCase Dora = new(
        "DoRA r=32", new LoraConfig { Rank = Rank, Alpha = 2 * Rank, UseDora = true, TargetModules = [.. Base.Projections] }, products => new PlainAdapter.Dora(Rank, 2 * Rank, products),
        // Beside LoRA's: W Aᵀ, for the norms of the rows of W + B A.
        (rows, inputs, outputs) => [.. OfLora(rows, inputs, outputs), [outputs, inputs, Rank]]);

    public static readonly IReadOnlyList<MethodCase> All =
    [
        Fossil,
        new("Mini r=64", Base.Config(Size, FossilVariant.Mini) with { MiniSize = Size }, products => new PlainAdapter.Shard(Size, products, Size), (rows, _, _) => OfShard(rows, Size)),
        Lora,
        Dora,
        // W D in both passes, dW, and Wᵀ dW.
        new("Bat r=64", Base.Config(Size, FossilVariant.Bat), products => new PlainAdapter.Bat(Size, products),
            (rows, inputs, outputs) => [[outputs / Size, inputs, Size, Size], [outputs / Size, inputs, Size, Size], [outputs, rows, inputs], [outputs / Size, Size, inputs, Size]]) { ReplacesBase = true },
    ];

    // S D, dy Dᵀ, Sᵀ dy.
    private static long[][] OfShard(long rows, long width) => [[rows, Size, width], [rows, width, Size], [Size, rows, width]];

    // x Aᵀ, (x Aᵀ) Bᵀ; dy B, dyᵀ (x Aᵀ), (dy B)ᵀ x, (dy B) A.
    private static long[][] OfLora(long rows, long inputs, long outputs) =>
        [[rows, inputs, Rank], [rows, Rank, outputs], [rows, outputs, Rank], [outputs, rows, Rank], [Rank, rows, inputs], [rows, Rank, inputs]];
}
