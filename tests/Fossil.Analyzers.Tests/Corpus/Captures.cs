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

public class Cfg
{
    public int Hidden { get; set; } = 100;

    public int Heads = 4;
    public List<int> Dims { get; set; } = [64];
}

namespace Lambda
{
    static class P
    {
        static void Main()
        {
            int h = 100;
            Action a = () => h = 128;
            h = 100;
            Run(a);
            _ = new Lay(h);
            int g = 64;
            Action b = () => g = 100;
            _ = new Lay(g);
            _ = new Lay(Via());
            int q = 100;
            void Loc()
            {
                q = 64;
            }

            Run(Loc);
            _ = new Lay(q);
            int m = 100;
            Task.Run(() =>
            {
                m = 64;
            }).Wait();
            _ = new Lay(m);
            int n = 100;
            var th = new Thread(() => n = 64);
            th.Start();
            th.Join();
            _ = new Lay(n);
        }

        static int Via()
        {
            var h = 64;
            Maybe(() => h = 100);
            return h;
        }

        static void Maybe(Action a)
        {
            if (Environment.Is64BitProcess)
                a();
        }

        static void Run(Action a) => a();
    }
}

namespace Try
{
    static class P
    {
        static void Main()
        {
            var h = 100;
            try
            {
                h = 64;
                Console.ReadLine();
                return;
            }
            catch (IOException)
            {
                _ = new Lay(h);
            }

            var k = 100;
            try
            {
                k = int.Parse(Console.ReadLine()!);
            }
            catch (FormatException)
            {
                k = 128;
            }

            _ = new Lay(k);
            int m;
            try
            {
                m = 64;
            }
            finally
            {
                Console.WriteLine();
            }

            _ = new Lay(m);
            var n = 100;
            try
            {
            }
            finally
            {
                n = 64;
            }

            _ = new Lay(n);
            var o = 64;
            try
            {
                o = 100;
                throw new Exception();
            }
            catch
            {
                o = 128;
            }

            _ = new Lay(o);
            var p = 100;
            try
            {
                Console.ReadLine();
                p = 64;
            }
            catch when (p == 100)
            {
                p = 128;
            }

            _ = new Lay(p);
        }

        static int F()
        {
            var h = 100;
            try
            {
                h = 64;
                Console.ReadLine();
                return h;
            }
            catch
            {
                return h;
            }
        }

        static void M2()
        {
            _ = new Lay(F());
        }
    }
}

namespace StaticWritten
{
    static class Presets
    {
        public static readonly Cfg Default = new();
        public static readonly Cfg Other = new();
        public static readonly int[] Arr = new int[]
        {
            100
        };
        public static readonly int[] Arr2 = new[]
        {
            100
        };
    }

    static class P
    {
        static void Setup()
        {
            Presets.Default.Hidden = 128;
            Presets.Arr[0] = 128;
        }

        static void Main()
        {
            _ = new Lay(Presets.Default.Hidden);
            _ = new Lay(Presets.Arr[0]);
            _ = new Lay(Presets.Other.Hidden); //! FOSSIL005
            _ = new Lay(Presets.Arr2[0]); //! FOSSIL005
        }
    }
}

namespace GotoLoop2
{
    static class P
    {
        static void Main()
        {
            var w = 1;
            do
            {
                w *= 2;
            }
            while (w < 100);
            _ = new Lay(w);
            var u = 1;
            while (true)
            {
                u *= 2;
                if (u > 100)
                    break;
            }

            _ = new Lay(u);
            for (int a = 64, b = 1; a < 100; a += 64, b++)
                _ = new Lay(a);
            int z = 0;
            foreach (var x in new[]
            {
                100,
                28
            }

            )
                z += x;
            _ = new Lay(z);
            for (var i = 0; i < Environment.ProcessorCount; i++)
            {
                if (i == 0)
                    continue;
                _ = new Lay(i * 64);
            }

            var c = 100;
            for (var i = 0; i < Environment.ProcessorCount; i++)
                c = 64;
            _ = new Lay(c);
            var v = 0;
            while (v < 500)
                v += 128;
            _ = new Lay(v);
            uint b3 = 1;
            for (uint i = 0; i < 7; i++)
                b3 <<= 1;
            _ = new Lay(b3);
            ulong ul = 3;
            for (ulong i = 0; i < 3; i++)
                ul *= 2;
            _ = new Lay((long)ul);
            short sh = 50;
            sh *= 2;
            sh += 28;
            _ = new Lay(sh);
        }
    }
}
