using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil;

/// <summary>How the parameters of a LoRA adapter start (PEFT: <c>init_lora_weights</c>).</summary>
public sealed record LoraInitialization
{
    private const string GaussianName = "gaussian";
    private const string PissaName = "pissa";
    private const string PissaIterations = "pissa_niter_";

    private LoraInitialization(string name, int? iterations = null)
    {
        Name = name;
        Iterations = iterations;
    }

    /// <summary>A Kaiming-uniform, B zero (<c>true</c>).</summary>
    public static LoraInitialization Default { get; } = new("true");

    /// <summary>A and B Kaiming-uniform, so that the adapter changes the output before training: for tests (<c>false</c>).</summary>
    public static LoraInitialization Random { get; } = new("false");

    /// <summary>A normal with deviation 1/r, B zero (<c>"gaussian"</c>).</summary>
    public static LoraInitialization Gaussian { get; } = new(GaussianName);

    /// <summary>A and B from the largest singular values of the weight, which keeps the rest (<c>"pissa"</c>; arXiv 2404.02948).</summary>
    public static LoraInitialization Pissa { get; } = new(PissaName);

    /// <summary>PEFT's word for it; "true" and "false" for the two that PEFT has as Booleans.</summary>
    public string Name { get; }

    /// <summary>Subspace iterations of the randomised decomposition; null where it is exact.</summary>
    public int? Iterations { get; }

    /// <summary>Whether the base weight changes when the adapter is attached.</summary>
    public bool IsPissa => Name.StartsWith(PissaName, StringComparison.Ordinal);

    /// <summary>As <see cref="Pissa"/>, from a randomised decomposition with that many subspace iterations (<c>"pissa_niter_N"</c>).</summary>
    public static LoraInitialization PissaWithIterations(int iterations)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(iterations);
        return new LoraInitialization(PissaIterations + iterations.ToString(CultureInfo.InvariantCulture), iterations);
    }

    internal static LoraInitialization Read(AdapterConfigReader reader, string field)
    {
        var node = reader.Get(field);
        return node?.GetValueKind() switch
        {
            null or JsonValueKind.True => Default,
            JsonValueKind.False => Random,
            JsonValueKind.String when Parse(node.GetValue<string>()) is { } initialization => initialization,
            _ => throw reader.Wrong(
                field,
                node,
                "one of true, false, 'gaussian', 'pissa', 'pissa_niter_N' (N whole, at least 0). Trained factors of an initialisation that leaves the base weight as it is load with true"),
        };
    }

    internal JsonNode? ToNode() => this == Default ? true : this == Random ? false : Name;

    private static LoraInitialization? Parse(string name) => name switch
    {
        PissaName => Pissa,
        _ when name.Equals(GaussianName, StringComparison.OrdinalIgnoreCase) => Gaussian,
        _ when name.StartsWith(PissaIterations, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(PissaIterations.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) => PissaWithIterations(iterations),
        _ => null,
    };
}
