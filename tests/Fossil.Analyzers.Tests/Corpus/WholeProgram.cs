// A network with its training loops, right and wrong, and uses that are not rewired.
namespace WholeProgram;
[FossilAdapt("fc1", "fc2")]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc1 = Linear(784, 256), fc2 = Linear(256, 64); //! FOSSIL005
    private readonly Dropout dropout = Dropout(0.1);
    public Net() : base(nameof(Net)) => RegisterComponents();
    public override Tensor forward(Tensor x)
    {
        using var _ = NewDisposeScope();
        return fc2.forward(dropout.forward(functional.relu(fc1.forward(x.view(-1, 784))))).MoveToOuterDisposeScope();
    }
}
public static class Training
{
    static Tensor Loss(Net m, Tensor x) => m.forward(x).mean();
    public static void Good(Tensor x, Device device)
    {
        using var model = new Net();
        model.to(device);
        using var adapted = model.AttachAdapters();
        using var opt = adapted.CreateOptimizer(learningRate: 1e-3);
        for (var e = 0; e < 3; e++)
        {
            using var scope = NewDisposeScope();
            opt.zero_grad();
            Loss(model, x).backward();
            opt.step();
        }
        adapted.SavePretrained("out");
        adapted.Merge();
        model.save("merged.dat");
    }
    public static void Bad(Tensor x, Device device)
    {
        using var model = new Net();
        var ps = model.parameters();
        var early = optim.AdamW(ps, 1e-3); //! FOSSIL029
        using var adapted = model.AttachAdapters();
        early.step();
        using var opt = optim.SGD(model.parameters(), 0.1); //! FOSSIL028
        model.to(device); //! FOSSIL030
        opt.step();
        adapted.Merge();
        Loss(model, x).backward(); //! FOSSIL032
        adapted.Unmerge();
        model.save("x.dat"); //! FOSSIL033
    }
    public static void Scope()
    {
        var model = new Net();
        AdaptedModel adapted;
        using (var s = NewDisposeScope())
        {
            adapted = model.AttachAdapters(); //! FOSSIL031
        }
        adapted.SavePretrained("x");
    }
    public static void Uses(Net net, Tensor x)
    {
        var f = net.fc1.forward; //! FOSSIL007
        Func<Tensor, Tensor> g = net.fc2.call;
        var seq = Sequential(("a", net.fc1), ("b", net.fc2));
        System.Linq.Expressions.Expression<Func<Tensor, Tensor>> e = t => net.fc1.forward(t); //! FOSSIL007
        var w = net.fc1.weight;
        dynamic d = net.fc1; //! FOSSIL007
        typeof(Net).GetField("fc1"); //! FOSSIL007
        net.fc1.forward(x);
        foreach (var l in new[] { net.fc1, net.fc2 }) l.forward(x);
        if (net is { fc1: var inner }) inner.forward(x);
    }
}
[FossilAdapt("a", "b")] //! FOSSIL025
public partial class Tied : Module<Tensor, Tensor>
{
    private readonly Linear a, b;
    public Tied() : base("Tied") { a = b = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => a.forward(b.forward(x));
}
