namespace Fossil.Training;

/// <summary>bfloat16 products of an adapted model until it is disposed, as the model was before.</summary>
internal sealed class Bf16ProductsScope : IDisposable
{
    private readonly AdaptedModel adapted;
    private readonly bool before;

    public Bf16ProductsScope(AdaptedModel adapted)
    {
        (this.adapted, before) = (adapted, adapted.Bf16Products);
        adapted.Bf16Products = true;
    }

    public void Dispose() => adapted.Bf16Products = before;
}
