// Elements of collections of targets that get another layer.
namespace Replacements;

[FossilAdapt("experts", "heads", "lazy", "late", "built", "up")]
public partial class Mixture : Module<Tensor, Tensor>
{
    public readonly ModuleList<Linear> experts = new(Linear(64, 64), Linear(64, 64));
    public readonly Linear[] heads = [Linear(64, 64), Linear(64, 64)];
    public readonly Linear[] lazy = new Linear[2]; //! FOSSIL006
    public readonly List<Linear> late;
    internal Linear[] built;
    public Linear up;

    public Mixture() : base("Mixture")
    {
        up = Linear(64, 64);
        built = new Linear[2]; //! FOSSIL006
        for (var i = 0; i < built.Length; i++) built[i] = Linear(64, 64);
        late = [Linear(64, 64), Linear(64, 64)]; //! FOSSIL006
        Fill();
        RegisterComponents();
    }

    private void Fill() => late[0] = Linear(64, 64);

    public void Load()
    {
        for (var i = 0; i < lazy.Length; i++) lazy[i] = Linear(64, 64);
    }

    public void Prune(int index)
    {
        experts[index] = Linear(64, 64); //! FOSSIL024
        heads[^1] = Linear(64, 64); //! FOSSIL024
        this.late[0] = Linear(64, 64); //! FOSSIL024
        built[0] = experts[1]; //! FOSSIL024
        experts[0] = experts[1];
        heads[0] = (Linear)heads[0].to(CPU);
        up = Linear(64, 64); //! FOSSIL024
    }

    public override Tensor forward(Tensor x)
    {
        foreach (var expert in experts) x = expert.forward(x);
        foreach (var expert in heads.Concat(lazy).Concat(late).Concat(built)) x = expert.forward(x);
        return up.forward(x);
    }
}

public static class Surgery
{
    public static void Run(Mixture model, Dictionary<int, Linear> others)
    {
        model.experts[0] = Linear(64, 64); //! FOSSIL024
        model.experts[^1] = Linear(64, 64); //! FOSSIL024
        model.heads[1] = Linear(64, 64); //! FOSSIL024
        model.lazy[1] = Linear(64, 64);
        model.up = Linear(64, 64); //! FOSSIL024
        others[0] = Linear(64, 64);
        var copy = model.experts.ToArray();
        copy[0] = Linear(64, 64);
        model.experts[0].weight = null;
    }
}
