[FossilAdapt("proj", ShardSize = 64)]
public partial class Lay : Module<Tensor, Tensor>
{
    internal readonly Linear proj;
    public Lay(long width) : base("Lay")
    {
        proj = Linear(width, 64);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => proj.forward(x);
}

namespace SwitchName
{
    static class P
    {
        static (int dim, int heads) Size(string name) => name switch
        {
            "7b" => (4096, 32),
            "tiny" => (1000, 10),
            _ => throw new ArgumentException(name)};
        static void Main()
        {
            var(dim, heads) = Size("7b");
            _ = new Lay(dim);
            var(d2, h2) = Size("tiny");
            _ = new Lay(d2); //! FOSSIL005
            _ = new Lay(Size("tiny").dim * 16);
            _ = new Lay(Size("tiny").heads * 10); //! FOSSIL005
        }
    }
}

namespace RequiredInit
{
    public class Cfg
    {
        public required int Dim { get; init; }
        public int Mult { get; init; } = 4;
        public int Hidden => Dim * Mult;
    }

    static class P
    {
        static Lay F(Cfg c) => new Lay(c.Hidden);
        static void Main()
        {
            F(new Cfg { Dim = 64 });
            F(new Cfg { Dim = 65 }); //! FOSSIL005
            F(new() { Dim = 100, Mult = 16 });
            F(new() { Dim = 100 }); //! FOSSIL005
            var c = new Cfg
            {
                Dim = 100
            };
            _ = new Lay(c.Dim); //! FOSSIL005
            _ = new Lay(c.Hidden); //! FOSSIL005
        }
    }
}

namespace NestedConfig
{
    public record VisionCfg(int Width = 768, int Patch = 14);
    public record TextCfg
    {
        public int Width { get; init; } = 512;
        public int Heads { get; init; } = 8;
    }

    public record ClipCfg(VisionCfg Vision, TextCfg Text)
    {
        public static ClipCfg Default => new(new VisionCfg(), new TextCfg());

        public static readonly ClipCfg Odd = new(new(Width: 1000), new TextCfg { Width = 500 });
    }

    public class Clip : Module<Tensor, Tensor>
    {
        readonly Lay vision, text;
        public Clip(ClipCfg cfg) : base("Clip")
        {
            vision = new Lay(cfg.Vision.Width);
            text = new Lay(cfg.Text.Width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => text.forward(vision.forward(x));
    }

    static class P
    {
        static void Main()
        {
            _ = new Clip(ClipCfg.Default);
            _ = new Clip(ClipCfg.Odd); //! FOSSIL005
            _ = new Clip(ClipCfg.Default with { Text = ClipCfg.Odd.Text }); //! FOSSIL005
            _ = new Clip(ClipCfg.Odd with { Text = new TextCfg(), Vision = new() });
            _ = new Clip(new ClipCfg(new(Width: 770), new())); //! FOSSIL005
        }
    }
}

namespace Enums
{
    public enum Size
    {
        Small = 256,
        Base = 500,
        Large = 1024
    }

    static class Ext
    {
        public static int Dim(this Size s) => s switch
        {
            Size.Small => 256,
            Size.Base => 500,
            Size.Large => 1024,
            _ => throw new ArgumentOutOfRangeException(nameof(s))};
        public static int Heads(this Size s)
        {
            switch (s)
            {
                case Size.Small:
                    return 4;
                case Size.Base:
                    return 5;
                default:
                    return 16;
            }
        }
    }

    static class P
    {
        static Lay Of(Size s) => new Lay(s.Dim());
        static void Main()
        {
            _ = new Lay((int)Size.Small);
            _ = new Lay((long)Size.Large);
            _ = new Lay((int)Size.Base); //! FOSSIL005
            _ = Of(Size.Small);
            _ = Of(Size.Base); //! FOSSIL005
            _ = new Lay(Size.Base.Heads() * 100); //! FOSSIL005
            _ = new Lay(Size.Small.Heads() * 16);
            foreach (var s in Enum.GetValues<Size>())
                _ = Of(s);
        }
    }
}

namespace Nullable
{
    public class Cfg
    {
        public int Hidden = 512;
        public int? Ffn;
        public int? KvHeads { get; set; }

        public int Heads = 8;
    }

    static class P
    {
        static Lay Make(Cfg c)
        {
            var kv = c.KvHeads ?? c.Heads;
            return new Lay(c.Ffn ?? 4 * c.Hidden);
        }

        static Lay M2(int? w = null)
        {
            if (w is null)
                return new Lay(64);
            return new Lay(w.Value);
        }

        static Lay M3(int? w = null) => new Lay(w is { } v ? v : 64);
        static Lay M4(int? w = null) => w.HasValue ? new Lay(w.Value) : new Lay(64);
        static Lay M5(int? w = null) => new Lay(w.GetValueOrDefault(128));
        static Lay M6(int? w = null)
        {
            w ??= 256;
            return new Lay((int)w);
        }

        static Lay M7(Cfg? c) => new Lay(c?.Hidden ?? 100);
        static void Main()
        {
            Make(new Cfg());
            Make(new Cfg { Ffn = 1024 });
            Make(new Cfg { Ffn = 1000 }); //! FOSSIL005
            M2();
            M2(128);
            M3();
            M3(64);
            M4();
            M5();
            M6();
            M6(128);
            M2(100); //! FOSSIL005
            M3(100); //! FOSSIL005
            M4(100); //! FOSSIL005
            M5(100); //! FOSSIL005
            M6(100); //! FOSSIL005
            M7(new Cfg());
            M7(null); //! FOSSIL005
            M7(new Cfg { Hidden = 500 }); //! FOSSIL005
        }
    }
}
