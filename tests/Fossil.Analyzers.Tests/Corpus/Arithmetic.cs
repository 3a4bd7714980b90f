using System.Numerics;

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

namespace Numbers
{
    static class P
    {
        static int RoundUp(int v, int m) => ((v + m - 1) / m) * m;
        static int RoundUp2(double v, int m)
        {
            var r = (int)Math.Ceiling(v / m) * m;
            return r;
        }

        static void Main()
        {
            _ = new Lay(RoundUp(1000, 64));
            _ = new Lay(RoundUp2(1000.5, 64));
            _ = new Lay(RoundUp(1000, 50)); //! FOSSIL005
            _ = new Lay(RoundUp2(1000.5, 50)); //! FOSSIL005
            _ = new Lay((int)Math.Pow(2, 9));
            _ = new Lay((int)Math.Pow(3, 5)); //! FOSSIL005
            _ = new Lay((int)BitOperations.RoundUpToPowerOf2(1000u));
            _ = new Lay((int)BitOperations.RoundUpToPowerOf2(1000u) + 1); //! FOSSIL005
            _ = new Lay(BitOperations.Log2(1024u) * 100); //! FOSSIL005
            _ = new Lay(Math.Max(Math.Min(700, 600), 500)); //! FOSSIL005
            _ = new Lay(Math.Clamp(500L, 1L, 512L)); //! FOSSIL005
            _ = new Lay(checked((int)(1000L * 2))); //! FOSSIL005
            _ = new Lay(unchecked(1000 << 1)); //! FOSSIL005
            _ = new Lay(4096 >> 2);
            _ = new Lay(4096 >>> 3);
            _ = new Lay((4096 >>> 3) + 4); //! FOSSIL005
            _ = new Lay((int)Math.Round(768 * 4.0 / 3));
            _ = new Lay((int)MathF.Round(770 * 4f / 3)); //! FOSSIL005
            _ = new Lay((int)(1000 * 1.5m)); //! FOSSIL005
            _ = new Lay(int.Max(500, 100)); //! FOSSIL005
            _ = new Lay(Math.DivRem(1000, 2).Quotient); //! FOSSIL005
            _ = new Lay((int)Math.Exp(Math.Log(512)) / 64 * 64);
            _ = new Lay(sizeof(int) * 100); //! FOSSIL005
            _ = new Lay(~(-501)); //! FOSSIL005
            _ = new Lay(-(-500)); //! FOSSIL005
            _ = new Lay('d'); //! FOSSIL005
        }
    }
}
