[FossilAdapt("fc", ShardSize = 64)]
public partial class Fc : Module<Tensor, Tensor>
{
    public Linear fc { get; }
    public Fc(int inDim, int outDim = 10, string name = "fc") : base(name) { this.fc = Linear(inDim, outDim); this.RegisterComponents(); }
    public override Tensor forward(Tensor t) => this.fc.forward(t);
}
namespace NamedCalls
{
    static class N
    {
        static Fc A() => new(outDim: 1000, inDim: 64);
        static Fc B() => new(name: "x", inDim: 1000); //! FOSSIL005
        static int P(int x, int y) => x * 64 + y;
        static Fc C() => new(P(y: 1, x: 2)); //! FOSSIL005
        static Fc D() => new((int)Math.Pow(y: 6, x: 2));
        static Fc E() => new((int)Math.Pow(y: 2, x: 6)); //! FOSSIL020
        static Fc F() => new(Enumerable.Range(count: 2, start: 64).First());
        static Fc G() => new(Math.Clamp(max: 128, min: 64, value: 1000));
        static Func<int, int, Fc> make = (i, o) => new Fc(i, o);
        static Fc H() { Func<int, int, Fc> f = (i, o) => new Fc(i, o); return f(arg2: 1, arg1: 64); }
        static Fc I() { Func<int, int, Fc> f = (i, o) => new Fc(i, o); return f(100, 1); } //! FOSSIL005
        delegate Fc Maker(int a, int b = 100);
        static Fc J() { Maker f = (a, b) => new Fc(b, a); return f(1); } //! FOSSIL005
    }
}
namespace TargetTyped
{
    public class Net : Module<Tensor, Tensor>
    {
        private readonly List<Fc> stack = [new(64), new(100), new(128)]; //! FOSSIL005 //! FOSSIL039
        private readonly Fc[] arr = { new(64), new(96) };  //! FOSSIL005 //! FOSSIL039
        private readonly Dictionary<string, Fc> byName = new() { ["a"] = new(64), ["b"] = new(65) }; //! FOSSIL005 //! FOSSIL039
        private readonly (Fc a, Fc b) both = (new(64), new(63));  //! FOSSIL020 //! FOSSIL039
        private Fc? maybe = null;
        public Net() : base("net") { maybe ??= new(1000); Fc x = new(12 * 64); RegisterComponents(); } //! FOSSIL005
        public override Tensor forward(Tensor t) { Fc local; local = new(77); return local.forward(t); } //! FOSSIL005
        static Fc Ret(bool b) { if (b) return new(130); else return new(128); } //! FOSSIL005
        static Fc Arg() => Id(new(66)); //! FOSSIL005
        static Fc Id(Fc f) => f;
        static Fc Tern(bool b) => b ? new(128) : new(129); //! FOSSIL005
        static Fc Thr(Fc? f) => f ?? new(71); //! FOSSIL005
        static IEnumerable<Fc> Many() { yield return new(64); yield return new(90); } //! FOSSIL005
        static async Task<Fc> Later() { await Task.Yield(); return new(91); } //! FOSSIL005
        static readonly Lazy<Fc> Lz = new(() => new(92)); //! FOSSIL005
        static Task<Fc> Run() => Task.Run(() => new Fc(93)); //! FOSSIL005
    }
}
namespace Config
{
    public class GptConfig
    {
        public int n_embd { get; set; } = 768;
        public int n_head { get; init; } = 12;
        public int head_dim => n_embd / n_head;
        public int n_inner = 4 * 768;
        public GptConfig Clone() => (GptConfig)MemberwiseClone();
    }
    public record LlamaConfig(int HiddenSize = 4096, int IntermediateSize = 11008)
    {
        public int NumHeads { get; init; } = 32;
        public int NumKvHeads { get; init; } = 32;
        public int HeadDim => HiddenSize / NumHeads;
        public static readonly LlamaConfig Llama3_8B = new(4096, 14336) { NumKvHeads = 8 };
        public static readonly LlamaConfig Weird = Llama3_8B with { HiddenSize = 4000 };
        public static LlamaConfig Tiny => new(60, 120) { NumHeads = 4 };
        public static LlamaConfig ByName(string n) => n switch { "8b" => Llama3_8B, "weird" => Weird, _ => throw new ArgumentException(n) };
    }
    [FossilAdapt("q_proj", "o_proj")]
    public partial class SelfAttn : Module<Tensor, Tensor>
    {
        private readonly Linear q_proj, o_proj;
        public SelfAttn(LlamaConfig config) : base("attn")
        {
            ArgumentNullException.ThrowIfNull(config);
            q_proj = Linear(config.HiddenSize, config.NumHeads * config.HeadDim, hasBias: false);
            o_proj = Linear(config.NumHeads * config.HeadDim, config.HiddenSize, hasBias: false);
            RegisterComponents();
        }
        public override Tensor forward(Tensor x) => o_proj.forward(q_proj.forward(x));
    }
    public class Decoder : Module<Tensor, Tensor>
    {
        readonly ModuleList<SelfAttn> layers;
        public Decoder(LlamaConfig c, int n) : base("dec") { layers = new ModuleList<SelfAttn>(Enumerable.Range(0, n).Select(_ => new SelfAttn(c)).ToArray()); RegisterComponents(); }
        public override Tensor forward(Tensor x) => x;
    }
    static class Run
    {
        static object A() => new SelfAttn(LlamaConfig.Llama3_8B);
        static object B() => new SelfAttn(LlamaConfig.Weird); //! FOSSIL005
        static object C() => new SelfAttn(LlamaConfig.Tiny); //! FOSSIL020
        static object D(string n) => new SelfAttn(LlamaConfig.ByName(n));
        static object E() => new SelfAttn(LlamaConfig.ByName("weird")); //! FOSSIL005
        static object F() => new SelfAttn(new());
        static object G() => new SelfAttn(new(HiddenSize: 4100)); //! FOSSIL005
        static object H() => new Decoder(LlamaConfig.Weird, 2); //! FOSSIL005
        static object I() => new Decoder(new LlamaConfig { NumHeads = 3 } with { HiddenSize = 192 }, 0);
        static object J() { var c = new GptConfig { n_embd = 1000 }; return new Fc(c.n_embd); } //! FOSSIL005
        static object K() { var c = new GptConfig { n_embd = 1000 }; c.n_embd += 24; return new Fc(c.n_embd); }
        static object L() { var c = new GptConfig(); var d = c; d.n_embd = 100; return new Fc(c.n_embd); } //! FOSSIL005
        static object M() { var c = new GptConfig { n_embd = 100 }.Clone(); return new Fc(c.n_embd); }
        static object N(GptConfig c) => new Fc(c.n_embd);
        static object O() { var c = new GptConfig { n_embd = 100 }; Change(c); return new Fc(c.n_embd); }
        static void Change(GptConfig c) => c.n_embd = 128;
        static object P() { var c = new GptConfig { n_embd = 100 }; System.Text.Json.JsonSerializer.Serialize(c); return new Fc(c.n_embd); } //! FOSSIL005
        static object Q() => new Fc(System.Text.Json.JsonSerializer.Deserialize<GptConfig>("{}")!.n_embd);
        static object R() { var c = new GptConfig { n_embd = 100 }; typeof(GptConfig).GetProperty("n_embd")!.SetValue(c, 128); return new Fc(c.n_embd); }
        static object S() { var all = new Dictionary<string, GptConfig> { ["s"] = new() { n_embd = 100 }, ["m"] = new() { n_embd = 64 } }; return new Fc(all["s"].n_embd); } //! FOSSIL005
        static object T(string k) { var all = new Dictionary<string, GptConfig> { ["s"] = new() { n_embd = 100 }, ["m"] = new() { n_embd = 64 } }; return new Fc(all[k].n_embd); }
        static object U() => new Fc(new GptConfig { n_embd = 600 }.head_dim); //! FOSSIL020
    }
}
