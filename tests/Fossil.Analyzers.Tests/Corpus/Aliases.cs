// Targets that run by another name: what calls forward where it is not rewired is reported, wherever the target came from.
using System.Linq.Expressions;
using System.Collections.Concurrent;
namespace RunByAnotherName
{
    [FossilAdapt("up", "down", "stack", ShardSize = 16)]
    public partial class Ffn : Module<Tensor, Tensor>
    {
        public readonly Linear up = Linear(64, 64), down = Linear(64, 64); internal readonly ModuleList<Linear> stack = ModuleList(Linear(64, 64));
        public Ffn() : base("ffn") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => down.forward(up.forward(x));
    }
    public static class Helpers
    {
        public static Func<Tensor, Tensor> OfParameter(Module<Tensor, Tensor> layer) => layer.forward; //! FOSSIL007
        public static Func<Tensor, Tensor> OfOthers(Module<Tensor, Tensor> layer) => layer.forward;
        public static Func<Tensor, Tensor> Extension(this Linear layer) => layer.forward; //! FOSSIL007
        public static Func<Tensor, Tensor>[] OfParams(params Linear[] layers) => [.. layers.Select(l => (Func<Tensor, Tensor>)l.forward)]; //! FOSSIL007
        public static Func<Tensor, Tensor> OfTuple((string, Linear Layer) named) => named.Layer.forward; //! FOSSIL007
        public static Func<Tensor, Tensor> Generic<T>(T layer) where T : Module<Tensor, Tensor> => layer.forward; //! FOSSIL007
        public static Func<Tensor, Tensor> Lazily(Func<Linear> make) => make().forward; //! FOSSIL007
        public static Expression<Func<Tensor, Tensor>> Tree(Linear layer) => x => layer.forward(x); //! FOSSIL007
        public static Tensor Dyn(Module<Tensor, Tensor> layer, Tensor x) { dynamic d = layer; return d.forward(x); } //! FOSSIL007
        public static Tensor Reflected(object layer, Tensor x) { var method = typeof(Linear).GetMethod("forward")!; return (Tensor)method.Invoke(layer, [x])!; } //! FOSSIL007
        public static Delegate Made(Linear layer) => Delegate.CreateDelegate(typeof(Func<Tensor, Tensor>), layer, "forward"); //! FOSSIL007
        public static Tensor Called(Linear layer, Tensor x) { var method = typeof(Linear).GetMethod("call")!; dynamic d = layer; return d.call((Tensor)method.Invoke(layer, [x])!); }
    }
    public record Named(string Name, Module<Tensor, Tensor> Layer);
    public class Holder(Linear given)
    {
        private readonly Linear kept = given; public Module<Tensor, Tensor>? Set { get; init; } public List<Linear> All { get; } = [];
        private readonly Linear own = Linear(64, 64);
        public Func<Tensor, Tensor> Given() => given.forward; //! FOSSIL007
        public Func<Tensor, Tensor> Kept() => kept.forward; //! FOSSIL007
        public Func<Tensor, Tensor>? AsSet() => Set is null ? null : Set.forward; //! FOSSIL007
        public IEnumerable<Func<Tensor, Tensor>> Every() { foreach (var one in All) yield return one.forward; } //! FOSSIL007
        public Func<Tensor, Tensor> Own() => own.forward;
    }
    public interface IProvider { Linear Provide(); }
    public abstract class Base { protected abstract Linear Layer { get; } public Func<Tensor, Tensor> Get() => Layer.forward; } //! FOSSIL007
    public class Derived(Ffn ffn) : Base, IProvider { protected override Linear Layer => ffn.up; public Linear Provide() => ffn.down; }
    public class Program(Ffn ffn)
    {
        private readonly ConcurrentDictionary<string, Linear> cache = new();
        public Linear Choose(bool b) { var chosen = b ? ffn.up : Linear(64, 64); return chosen; }
        public async Task<Linear> ChooseLater() { await Task.Yield(); return ffn.down; }
        public IEnumerable<Module<Tensor, Tensor>> Layers() { yield return ReLU(); yield return ffn.up; }
        private bool Try(out Linear layer) { layer = ffn.up; return true; }
        public void Use(Tensor x, IProvider provider)
        {
            Helpers.OfParameter(ffn.up)(x); Helpers.OfOthers(ReLU())(x); ffn.up.Extension()(x); Helpers.OfParams(ffn.up, ffn.down); Helpers.OfTuple(("up", ffn.up)); Helpers.Generic(ffn.up); Helpers.Lazily(() => ffn.up);
            Helpers.Tree(ffn.up); Helpers.Dyn(Choose(true), x); Helpers.Reflected(ffn.up, x); Helpers.Made(ffn.down); Helpers.Called(ffn.up, x);
            var holder = new Holder(ffn.up) { Set = ffn.down, All = { ffn.up } };
            Func<Tensor, Tensor> f = Choose(false).forward; //! FOSSIL007
            f = provider.Provide().forward; //! FOSSIL007
            f = Layers().Last().forward; //! FOSSIL007
            f = new Named("up", ffn.up).Layer.forward; //! FOSSIL007
            foreach (var (name, layer) in new Dictionary<string, Linear> { ["up"] = ffn.up }) f = layer.forward; //! FOSSIL007
            if (Try(out var found)) f = found.forward; //! FOSSIL007
            cache.TryAdd("up", ffn.up);
            f = cache["up"].forward; //! FOSSIL007
            if (cache.TryGetValue("up", out var cached)) f = cached.forward; //! FOSSIL007
            object boxed = ffn.up;
            if (boxed is Linear linear) f = linear.forward; //! FOSSIL007
            f = boxed switch { Linear one => one.forward, _ => t => t }; //! FOSSIL007
            var (first, second) = (ReLU(), ffn.down);
            f = second.forward; //! FOSSIL007
            f = first.forward;
            var anonymous = new { Layer = ffn.up };
            f = anonymous.Layer.forward; //! FOSSIL007
            var stacked = ffn.stack.Where(l => l.training).Select(l => new { l }).ToList();
            f = stacked[0].l.forward; //! FOSSIL007
            var queried = from l in ffn.stack select l;
            f = queried.First().forward; //! FOSSIL007
            Linear late; late = ffn.up; f = late.forward; //! FOSSIL007
            Linear Local(Linear l) { f = l.forward; return l; } //! FOSSIL007
            Local(ffn.up);
            Func<Linear> make = () => ffn.up;
            f = make().forward; //! FOSSIL007
            Action<Linear> each = l => f = l.forward; //! FOSSIL007
            each(ffn.up);
            f = Sequential(ffn.up, ReLU()).forward;
            f = Sequential(ffn.up, ReLU())[0].call;
            var seq = Sequential(ffn.up, ReLU());
            f = ((Linear)seq[0]).forward; //! FOSSIL007
            f = ffn.children().OfType<Linear>().First().forward; //! FOSSIL007
            Module<Tensor, Tensor> act = ReLU(); act = GELU(); f = act.forward;
            f = new List<Module<Tensor, Tensor>> { ReLU() }[0].forward;
            f(holder.Given()(x));
        }
        public async Task<Func<Tensor, Tensor>> Later() => (await ChooseLater()).forward; //! FOSSIL007
    }
}
namespace InSequences
{
    // Every way into a Sequential works: compiled code runs the hook that applies the adapter.
    [FossilAdapt("up", "down", "gate", ShardSize = 16)]
    public partial class Ffn : Module<Tensor, Tensor>
    {
        private readonly Sequential mlp, gates; private readonly Linear down; private Linear up => (Linear)mlp[0]; private readonly Linear gate;
        public Ffn() : base("ffn")
        {
            mlp = Sequential(Linear(64, 64), ReLU());
            var made = Linear(64, 64);
            gates = InSequence(made);
            gate = made;
            down = Linear(64, 64);
            RegisterComponents();
        }
        private static Sequential InSequence(Linear layer) { var all = new List<Module<Tensor, Tensor>> { layer }; all.Add(ReLU()); return Sequential(all.ToArray()).append("last", GELU()); }
        public override Tensor forward(Tensor x) => Sequential(("mlp", mlp), ("down", down)).forward(gates.forward(x));
    }
}
