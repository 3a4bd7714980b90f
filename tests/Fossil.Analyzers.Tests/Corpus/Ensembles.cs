using static TorchSharp.torch.nn.functional;
[FossilAdapt("fc", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc;
    public Net(string n = "net") : base(n) { fc = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc.forward(x);
}
namespace CrossValidation
{
    static class Folds
    {
        static void Right(int k)
        {
            var results = new List<double>();
            for (var fold = 0; fold < k; fold++)
            {
                using var net = new Net();
                net.load("base.dat");
                net.to(CUDA);
                using var adapted = net.AttachAdapters(new FossilConfig { ShardSize = fold % 2 == 0 ? 16 : 32 });
                using var opt = adapted.CreateOptimizer(1e-3);
                foreach (var batch in Enumerable.Range(0, 10)) { opt.zero_grad(); net.forward(rand(1, 64)).sum().backward(); opt.step(); }
                adapted.SavePretrained($"fold{fold}");
                results.Add(0.5);
            }
        }
        static void Wrong(int k)
        {
            var net = new Net();
            using var opt = optim.AdamW(net.parameters()); //! FOSSIL029
            for (var fold = 0; fold < k; fold++)
            {
                using var adapted = net.AttachAdapters();
                opt.step();
                net.save($"fold{fold}"); //! FOSSIL033
            }
        }
        static void Shared(int k)
        {
            var net = new Net();
            net.save("initial");
            foreach (var r in new[] { 8, 16 })
            {
                using var adapted = net.AttachAdapters(new FossilConfig { ShardSize = r });
                using var opt = optim.SGD(adapted.TrainableParameters(), 0.1);
                opt.step();
            }
            net.save("after");
        }
    }
}
namespace Ensembles
{
    static class E
    {
        static void A(Net[] nets)
        {
            var adapted = nets.Select(n => n.AttachAdapters()).ToList();
            var opts = adapted.Select(a => a.CreateOptimizer()).ToList();
            foreach (var o in opts) o.step();
            foreach (var a in adapted) a.Dispose();
        }
        static void B(Net left, Net right)
        {
            using var a = left.AttachAdapters(); using var b = right.AttachAdapters();
            using var oa = optim.SGD(left.parameters(), 0.1); //! FOSSIL028
            using var ob = b.CreateOptimizer();
            right.to(CUDA); //! FOSSIL030
            oa.step(); ob.step();
        }
        record Pair(Net One, Net Two);
        static void C(Pair p)
        {
            using var a = p.One.AttachAdapters();
            using var o = optim.SGD(p.Two.parameters(), 0.1);
            o.step();
            p.Two.save("two");
            p.One.save("one"); //! FOSSIL033
        }
        static void D(Pair p, Pair q)
        {
            using var a = p.One.AttachAdapters();
            using var o = optim.SGD(q.One.parameters(), 0.1);
            q.One.to(CPU); //! FOSSIL030
            o.step();
            q.One.save("q");
        }
        static void F(Dictionary<string, Net> nets)
        {
            using var a = nets["a"].AttachAdapters();
            using var o = optim.SGD(nets["b"].parameters(), 0.1);
            nets["c"].to(CPU); o.step(); nets["b"].save("b");
        }
        static void G(List<Net> nets)
        {
            foreach (var n in nets) { using var a = n.AttachAdapters(); using var o = a.CreateOptimizer(); o.step(); }
            foreach (var n in nets) { n.save("x"); using var o = optim.SGD(n.parameters(), 0.1); o.step(); }
        }
    }
}
namespace Callbacks
{
    static class C
    {
        static void A(Net net, Action<Net> onEpoch)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            for (var e = 0; e < 3; e++) { opt.step(); onEpoch(net); }
        }
        static void B(Net net) => A(net, n => n.save("epoch"));
        static void D(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            Parallel.For(0, 4, i => net.forward(rand(1, 64)));
            AppDomain.CurrentDomain.ProcessExit += (_, _) => adapted.SavePretrained("last");
            opt.step();
        }
        static IEnumerable<float> E(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            for (var i = 0; i < 3; i++) { var l = net.forward(rand(1, 64)).sum(); l.backward(); opt.step(); yield return l.item<float>(); }
            net.save("x"); //! FOSSIL033
        }
        static async IAsyncEnumerable<float> F(Net net)
        {
            await using var _ = new MemoryStream();
            using var adapted = net.AttachAdapters();
            var opt = optim.Adam(net.parameters()); //! FOSSIL028
            await Task.Delay(1);
            opt.step();
            yield return 1;
        }
        static void G(Net net, CancellationToken stop)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            try { while (!stop.IsCancellationRequested) opt.step(); }
            catch (OperationCanceledException) when (stop.IsCancellationRequested) { net.save("interrupted"); } //! FOSSIL033
            finally { adapted.SavePretrained("adapter"); }
        }
        static bool H(Net net, out string? error)
        {
            error = null;
            using var adapted = net.AttachAdapters();
            adapted.Merge(safe: true);
            try { net.save("served"); return true; } catch (IOException e) { error = e.Message; return false; } finally { adapted.Unmerge(); }
        }
        static void I(Net net)
        {
            var adapted = net.AttachAdapters();
            adapted.Merge();
            net.forward(rand(1, 64));
            adapted.Dispose();
            var opt = optim.SGD(net.parameters(), 0.1);
            net.forward(rand(1, 64)).sum().backward();
            opt.step();
        }
        static void J(Net net)
        {
            using (var adapted = net.AttachAdapters()) adapted.Merge();
            var opt = optim.SGD(net.parameters(), 0.1);
            net.forward(rand(1, 64)).sum().backward();
            opt.step();
            net.save("x");
        }
        static void K(Net net)
        {
            using var adapted = net.AttachAdapters();
            adapted.Merge();
            using (adapted.DisableAdapters()) { }
            adapted.Unmerge();
            using var opt = adapted.CreateOptimizer();
            opt.step();
            adapted.Merge();
            opt.step(); //! FOSSIL032
        }
    }
}
