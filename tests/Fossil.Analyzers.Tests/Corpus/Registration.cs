namespace Replaced
{
    [FossilAdapt("up")]
    public partial class A : Module<Tensor, Tensor>
    {
        Linear up;
        readonly bool flag;
        public A(bool big) : base("A")
        {
            if (big)
            {
                up = Linear(128, 64);
            }
            else
            {
                up = Linear(64, 64);
            }

            Configure();
            RegisterComponents();
        }

        void Configure()
        {
            Reset();
        }

        void Reset()
        {
            up = Linear(64, 64);
        }

        public A WithDevice(Device d)
        {
            up = up.to(d);
            return this;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                up.Dispose();
            base.Dispose(disposing);
        }

        public override Tensor forward(Tensor x) => up.call(x);
    }

    [FossilAdapt("up")]
    public partial class B : Module<Tensor, Tensor>
    {
        public Linear up { get; private set; }

        public B() : base("B")
        {
            up = Linear(64, 64);
            RegisterComponents();
        }

        public void Resize(int n)
        {
            up = Linear(64, n); //! FOSSIL024
        }

        public override Tensor forward(Tensor x) => up.call(x);
    }

    [FossilAdapt("list", "arr")]
    public partial class C : Module<Tensor, Tensor>
    {
        readonly ModuleList<Linear> list = new();
        Linear[] arr = new Linear[2];
        public C() : base("C")
        {
            arr[0] = Linear(64, 64);
            register_module("a0", arr[0]);
            list.Add(Linear(64, 64));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => list[0].call(x);
    }

    static class P
    {
        static void M(B b, C c)
        {
        }
    }
}

namespace Registered
{
    [FossilAdapt("a", "b", "c")]
    public partial class A : Module<Tensor, Tensor>
    {
        readonly Linear a, b;
        Linear? c;
        public A(bool x) : base("A")
        {
            a = Linear(64, 64);
            b = Linear(64, 64);
            if (x)
            {
                c = Linear(64, 64);
            }

            RegisterComponents();
            if (x)
                Console.WriteLine();
        }

        public A() : this(true)
        {
        }

        public override Tensor forward(Tensor x) => a.call(x);
    }

    [FossilAdapt("a")]
    public partial class B : Module<Tensor, Tensor>
    {
        readonly Linear a;
        public B() : base("B")
        {
            try
            {
                a = Linear(64, 64);
            }
            finally
            {
            }

            Init();
        }

        void Init()
        {
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => a.call(x);
    }

    public abstract class Base(string n) : Module<Tensor, Tensor>(n)
    {
        protected void Done() => RegisterComponents();
    }

    [FossilAdapt("a")]
    public partial class C : Base
    {
        readonly Linear a;
        public C() : base("C")
        {
            a = Linear(64, 64);
            Done();
        }

        public override Tensor forward(Tensor x) => a.call(x);
    }

    [FossilAdapt("layers")]
    public partial class D : Module<Tensor, Tensor>
    {
        readonly Linear[] layers;
        public D(int n) : base("D")
        {
            layers = Enumerable.Range(0, n).Select(i => Linear(64, 64)).ToArray();
            foreach (var(l, i)in layers.Select((l, i) => (l, i)))
                register_module($"l{i}", l);
        }

        public override Tensor forward(Tensor x) => x;
    }

    [FossilAdapt("layers")]
    public partial class E : Module<Tensor, Tensor>
    {
        readonly List<Linear> layers = new(); //! FOSSIL006
        public E(int n) : base("E")
        {
            for (int i = 0; i < n; i++)
                layers.Add(Linear(64, 64));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x;
    }

    [FossilAdapt("late")]
    public partial class F : Module<Tensor, Tensor>
    {
        Linear late;
        public F() : base("F")
        {
            RegisterComponents();
            late = Linear(64, 64); //! FOSSIL006
        }

        public override Tensor forward(Tensor x) => late.call(x);
    }
}
