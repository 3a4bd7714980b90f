namespace Initialisers
{
    [FossilAdapt("q", "k", "V", ShardSize = 50)]
    public partial class Att : Module<Tensor, Tensor>
    {
        private const int Dim = 1024;
        private readonly Linear q = Linear(Dim, 50); //! FOSSIL005
        private Linear k = Linear(inputSize: 500, outputSize: 1024);
        public Linear V { get; } = Linear(hasBias: false, outputSize: 50, inputSize: Dim); //! FOSSIL005
        public Att() : base(nameof(Att)) => RegisterComponents();
        public override Tensor forward(Tensor x) => V.call(k.call(q.call(x)));
    }
}
namespace Primary
{
    [FossilAdapt(nameof(fc1), nameof(fc2), ShardSize = 32, Variant = FossilVariant.Bat)]
    public partial class Mlp(int d, int mult = 4) : Module<Tensor, Tensor>("mlp")
    {
        private readonly Linear fc1 = Linear(d, d * mult), fc2 = Linear(d * mult, d);
        public override Tensor forward(Tensor x) => fc2.call(fc1.call(x).relu());
    }
    public class Parent : Module<Tensor, Tensor>
    {
        private readonly Mlp a = new(48);          //! FOSSIL005
        private readonly Mlp b = new(mult: 1, d: 64);
        private readonly Mlp c = new(d: 33, mult: 32); //! FOSSIL005
        private readonly Mlp e = new(8, mult: 4);  //! FOSSIL005 //! FOSSIL020
        public Parent() : base("p") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => x;
    }
}
namespace BaseCalls
{
    [FossilAdapt("proj")]
    public abstract partial class Block<TSelf> : Module<Tensor, Tensor> where TSelf : Block<TSelf>
    {
        protected readonly Linear proj;
        protected Block(string name, int width, int heads) : base(name) { proj = Linear(width / heads * heads, width); }
        public override Tensor forward(Tensor x) => proj.forward(x);
    }
    public class Enc : Block<Enc>
    {
        public Enc() : this(770) { }
        public Enc(int w) : base("enc", w, 12) { RegisterComponents(); }
    }
    public class Enc2(int w = 770) : Block<Enc2>("enc2", w, 11);
    public class Deeper : Enc { public Deeper() : base(640) { } } //! FOSSIL005
    public class Deepest : Enc { public Deepest(int k) : base(100 + k - k) { } }
    static class Use
    {
        static object A() => new Enc(); // 768
        static object B() => new Enc2(); //! FOSSIL005
        static object C() => new Deeper(); // 636: deeper
        static object D() => new Enc(64 * 12 + 5);
        static object E() => new Enc(650); //! FOSSIL005
    }
}
