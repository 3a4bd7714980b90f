using static TorchSharp.torch.nn.functional;
[FossilAdapt("fc1", "fc2", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc1, fc2;
    public Net(string name = "net") : base(name) { fc1 = Linear(64, 64); fc2 = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc2.forward(relu(fc1.forward(x)));
}
namespace Optional
{
    class Options { public bool Lora; public bool Full => !Lora; public bool Export; public string Out = "out"; public int Epochs = 3; }
    static class P
    {
        static void A(Net net, Options o)
        {
            AdaptedModel? adapted = o.Lora ? net.AttachAdapters() : null;
            var opt = adapted is null ? optim.AdamW(net.parameters(), 1e-4) : optim.AdamW(adapted.TrainableParameters(), 1e-3);
            opt.step();
            if (adapted is not null) adapted.SavePretrained(o.Out); else net.save(o.Out);
        }
        static void B(Net net, Options o)
        {
            AdaptedModel? adapted = null;
            optim.Optimizer opt;
            if (o.Lora) { adapted = net.AttachAdapters(); opt = adapted.CreateOptimizer(); }
            else { opt = optim.AdamW(net.parameters()); }
            for (var e = 0; e < o.Epochs; e++) { net.forward(rand(1)).sum().backward(); opt.step(); }
            if (o.Lora) adapted!.SavePretrained(o.Out);
            else net.save(o.Out);
        }
        static void C(Net net, Options o)
        {
            if (o.Full)
            {
                var opt = optim.AdamW(net.parameters());
                opt.step();
                net.save(o.Out);
                return;
            }
            using var adapted = net.AttachAdapters();
            using var opt2 = adapted.CreateOptimizer();
            opt2.step();
            adapted.SavePretrained(o.Out);
        }
        static void D(Net net, Options o)
        {
            var adapted = o.Lora switch { true => net.AttachAdapters(), false => null };
            optim.Optimizer opt = adapted?.CreateOptimizer() as optim.Optimizer ?? optim.SGD(net.parameters(), 0.1);
            opt.step();
        }
        static void E(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            if (o.Lora)
            {
                opt.Dispose();
                var adapted = net.AttachAdapters();
                opt = adapted.CreateOptimizer() is optim.Optimizer q ? (dynamic)q : throw new Exception();
            }
            opt.step();
        }
        static void F(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            opt.step();
            if (o.Export) { net.to(CPU); net.save("x"); return; }
            opt.step();
        }
        static void G(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            foreach (var x in new[] { 1, 2 })
            {
                opt.step();
                if (x == 2) { net.cpu(); net.save("x"); break; }
                opt.zero_grad();
            }
        }
        static void H(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            try { opt.step(); }
            catch (Exception) { net.cpu(); net.save("crash"); throw; }
            finally { opt.Dispose(); }
        }
        static void I(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            for (var e = 0; e < 3; e++) opt.step();
            net.to(CPU);
            opt.Dispose();
            net.save("x");
        }
        static void J(Net net, Options o)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            switch (o.Epochs)
            {
                case 0: net.to(CPU); net.save("x"); break;
                default: opt.step(); break;
            }
        }
        static void K(Net net)
        {
            using var opt = optim.SGD(net.parameters(), 0.1);
            opt.step();
            net.to(CPU);
            Console.WriteLine(opt.ToString());
        }
        static void L(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            net.train();
            Train();
            adapted.Merge();
            net.save("merged");
            void Train() { net.forward(rand(1)).sum().backward(); opt.step(); }
        }
        static void M(Net net)
        {
            using var adapted = net.AttachAdapters();
            Func<optim.Optimizer> make = () => adapted.CreateOptimizer();
            adapted.Merge();
            Action train = () => { var o = make(); o.step(); };
            adapted.Unmerge();
            train();
        }
        static async Task N(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            await Task.Run(() => { for (int i = 0; i < 3; i++) { net.forward(rand(1)).sum().backward(); opt.step(); } });
            await Task.Run(() => adapted.Merge());
            await File.WriteAllTextAsync("done", "");
        }
        static void O(Net teacher, Net student)
        {
            using var adapted = student.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            teacher.to(CUDA);
            mse_loss(student.forward(rand(1)), teacher.forward(rand(1))).backward();
            opt.step();
            teacher.save("teacher");
        }
        static void Q(IEnumerable<Net> nets)
        {
            foreach (var n in nets)
            {
                var opt = optim.SGD(n.parameters(), 0.1); opt.step();
            }
            foreach (var n in nets) { using var a = n.AttachAdapters(); a.SavePretrained("x"); }
        }
        static void R(Net net)
        {
            var before = net.parameters().Select(p => p.clone()).ToList();
            using var adapted = net.AttachAdapters();
            var opt = adapted.CreateOptimizer();
            opt.step();
            var equal = net.parameters().Zip(before, (a, b) => a.equal(b).item<bool>()).All(x => x);
        }
        static void S(Net net)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            opt.step();
            opt.Dispose();
            using var adapted = net.AttachAdapters();
            opt = optim.SGD(adapted.TrainableParameters().Select(p => p.Parameter), 0.1);
            opt.step();
        }
        static void T(Net net)
        {
            using var adapted = net.AttachAdapters();
            // whole-model fine-tuning with adapters on purpose: base unfrozen by hand
            foreach (var p in net.parameters()) p.requires_grad = true;
            var opt = optim.SGD(net.parameters(), 0.1); //! FOSSIL028
            opt.step();
        }
        static bool Resume(Net net, string dir)
        {
            if (Directory.Exists(dir)) { using var a = net.LoadPretrained(dir); return true; }
            var opt = optim.SGD(net.parameters(), 0.1);
            opt.step();
            net.save("base");
            return false;
        }
        static void U(Net net, string dir)
        {
            AdaptedModel adapted;
            try { adapted = net.LoadPretrained(dir); }
            catch (IOException) { var o = optim.SGD(net.parameters(), .1); o.step(); adapted = net.AttachAdapters(); }
            adapted.Dispose();
        }
    }
    // top-level-like script in a static class with fields
    static class Script
    {
        static readonly Net net = new();
        static AdaptedModel? adapted;
        static optim.Optimizer? opt;
        static void Main_()
        {
            Setup(); Loop(); Finish();
        }
        static void Setup() { net.to(CPU); adapted = net.AttachAdapters(); opt = adapted.CreateOptimizer(); }
        static void Loop() { opt!.zero_grad(); net.forward(rand(1)).sum().backward(); opt.step(); }
        static void Finish() { adapted!.SavePretrained("x"); adapted.Merge(); net.to(CPU); net.save("m"); }
    }
    class Session(Net net)
    {
        private AdaptedModel? adapted;
        private optim.Optimizer? opt;
        public void Full() { opt = optim.SGD(net.parameters(), 0.1); adapted = null; }
        public void Lora() { opt?.Dispose(); adapted = net.AttachAdapters(); opt = adapted.CreateOptimizer(); }
        public void Off() { adapted?.Dispose(); net.save("x"); }
    }
}
