[FossilAdapt("fc", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc;
    public Net() : base("net") { fc = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc.forward(x);
}
namespace Wrong
{
    class Trainer
    {
        private readonly Net net; private readonly AdaptedModel adapted; private optim.Optimizer? optimizer;
        public Trainer(Net net) { this.net = net; adapted = net.AttachAdapters(); }
        public void Start() => optimizer = optim.Adam(net.parameters()); //! FOSSIL028
        public void Save(string path) => net.save(path); //! FOSSIL033
    }
    sealed class Session(Net net, double rate) : IDisposable
    {
        private readonly AdaptedModel adapted = net.AttachAdapters();
        private Net Model => net;
        public void Fit(IEnumerable<Tensor> data)
        {
            using var opt = optim.AdamW(net.parameters(), rate); //! FOSSIL028
            foreach (var x in data) { opt.zero_grad(); net.forward(x).mean().backward(); opt.step(); }
            adapted.Model.save("model.dat"); //! FOSSIL033
        }
        public void Dispose() => adapted.Dispose();
    }
    class Props
    {
        public Net Model { get; } public AdaptedModel Adapted { get; }
        public Props() { Model = new Net(); Model.to(CPU); Adapted = Model.AttachAdapters(new FossilConfig { ShardSize = 16 }); }
        protected virtual optim.Optimizer CreateOptimizer() => optim.SGD(Model.parameters(), 0.1); //! FOSSIL028
    }
}
namespace Right
{
    class Good
    {
        private readonly Net net; private readonly AdaptedModel adapted; private readonly Linear probe = Linear(64, 2);
        public Good(Net net) { this.net = net; SaveBase(); adapted = net.AttachAdapters(); }
        void SaveBase() => net.save("base");
        public optim.Optimizer Make() => optim.Adam(adapted.TrainableParameters());
        public optim.Optimizer Probe() => optim.Adam(probe.parameters());
        public void Freeze() { foreach (var p in net.parameters()) p.requires_grad = false; }
        public void Export() { adapted.Merge(); net.save("merged"); adapted.Unmerge(); }
        public void Save() => adapted.SavePretrained("a");
    }
    class Merges(Net net)
    {
        private readonly AdaptedModel adapted = net.AttachAdapters();
        public void Merge() => adapted.Merge();
        public void Save() => net.save("x");
    }
    class Unloads(Net net)
    {
        private readonly AdaptedModel adapted = net.AttachAdapters();
        public void Stop() => adapted.Dispose();
        public void Full() { using var o = optim.SGD(net.parameters(), 0.1); o.step(); net.save("x"); }
    }
    class Maybe
    {
        private readonly Net net; private readonly AdaptedModel? adapted;
        public Maybe(Net net, bool lora) { this.net = net; if (lora) adapted = net.AttachAdapters(); }
        public optim.Optimizer Make() => adapted is null ? optim.SGD(net.parameters(), 0.1) : optim.SGD(adapted.TrainableParameters(), 0.1);
        public void Save(string p) { if (adapted is null) net.save(p); else adapted.SavePretrained(p); }
    }
    class Two
    {
        private readonly Net net; private readonly AdaptedModel? adapted;
        public Two(Net net) { this.net = net; }
        public Two(Net net, AdapterConfig c) { this.net = net; adapted = net.AttachAdapters(c); }
        public optim.Optimizer Make() => optim.SGD(net.parameters(), 0.1);
    }
    class Teacher(Net teacher, Net student)
    {
        private readonly AdaptedModel adapted = student.AttachAdapters();
        public optim.Optimizer Make() => optim.SGD(teacher.parameters(), 0.1);
        public void Save() { teacher.save("t"); adapted.SavePretrained("s"); }
        class Inner(Net net) { public void Save() => net.save("x"); }
    }
    class Given(Net net, AdaptedModel adapted)
    {
        private readonly AdaptedModel held = adapted;
        public void Save() => net.save("x");
    }
    class Handed(Net net)
    {
        private readonly AdaptedModel adapted = net.AttachAdapters();
        public void Stop() => Tools.Remove(adapted);
        public void Save() => net.save("x");
    }
    static class Tools { public static void Remove(AdaptedModel a) => a.Dispose(); }
}
