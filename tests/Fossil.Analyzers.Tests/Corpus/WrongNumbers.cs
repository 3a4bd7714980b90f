// Ways to write a width wrongly that a user would.
namespace Typos
{
    public enum Variant { Tiny, Base }
    public static class Presets
    {
        public static (int Hidden, int Heads, int Ffn) Get(Variant v) => v == Variant.Tiny ? (192, 3, 768) : (770, 12, 3072);
        public static readonly Dictionary<Variant, int[]> Table = new() { [Variant.Tiny] = [192, 768], [Variant.Base] = [770, 3072] };
        public static IEnumerable<(string Name, int Dim)> All { get { yield return ("tiny", 192); yield return ("base", 770); } }
        public const string Csv = "192;768";
    }
    [FossilAdapt("q", "k", "v", "o")]
    [FossilAdapt("up", "down", Variant = FossilVariant.Bat, ShardSize = 32)]
    public partial class Layer : Module<Tensor, Tensor>
    {
        private readonly Linear q, k, v, o, up, down;
        public Layer(int hidden, int heads, int ffn) : base("layer")
        {
            var head = hidden / heads;
            (q, k, v) = (P(hidden, head * heads), P(hidden, head * heads), P(hidden, head * heads));
            o = P(head * heads, hidden); up = P(hidden, ffn); down = P(ffn, hidden);
            RegisterComponents();
            static Linear P(int i, int o) => Linear(i, o, hasBias: false);
        }
        public Layer((int Hidden, int Heads, int Ffn) s) : this(s.Hidden, s.Heads, s.Ffn) { }
        public override Tensor forward(Tensor x) => down.forward(up.forward(o.forward(v.forward(k.forward(q.forward(x))))));
        static Layer Tiny() => new(Presets.Get(Variant.Tiny));
        static Layer Base() => new(Presets.Get(Variant.Base)); //! FOSSIL005
        static Layer OfTable(Variant v) { var t = Presets.Table[v]; return new(t[0], 1, t[1]); }
        static Layer OfTableBase() { var t = Presets.Table[Variant.Base]; return new(t[0], 1, t[1]); } //! FOSSIL005
        static Layer Swapped() => new(hidden: 12, heads: 768, ffn: 3072); //! FOSSIL005 //! FOSSIL020
        static Layer FfnWrong() => new(768, 12, 768 * 8 / 3 + 1); //! FOSSIL005
        static Layer FfnRight() => new(768, 12, 768 * 8 / 3);
        static Layer Rounded() => new(768, 12, (int)(768 * 2.7)); //! FOSSIL005
        static Layer HeadsDoNotDivide() => new(768, 7, 3072); //! FOSSIL005
        static IEnumerable<Layer> Every() { foreach (var (name, dim) in Presets.All) yield return new Layer(dim, 2, 64); } //! FOSSIL005
        static Layer Named(string n) { var d = Presets.All.First(p => p.Name == n).Dim; return new(d, 1, 64); }
        static Layer Int32() => new(0x400, 0b1000, 4_096);
        static Layer Wrong32() => new(0x401, 1, 4_096); //! FOSSIL005
        static Layer Shifted() => new(3 << 8, 12, 3 << 10);
        static Layer Xor() => new(2 ^ 10, 1, 64); //! FOSSIL005 //! FOSSIL020
        static Layer IntDivision() => new(1000 / 3 * 3, 1, 64); //! FOSSIL005
        static Layer Precedence() => new(64 + 64 * 2 / 3, 1, 64); //! FOSSIL005
    }
}
