namespace Registered
{
    [FossilAdapt("heads")]
    public partial class A : Module<Tensor, Tensor>
    {
        readonly ModuleDict<Linear> heads = new();
        public A(int w = 128) : base("a") { heads.Add("x", Linear(w, 64)); heads.Add(("y", Linear(64, 64))); heads["z"] = Linear(256, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) { foreach (var (n, h) in heads) x = h.forward(x); return heads["x"].forward(x); }
        static object M() => new A(100); //! FOSSIL005
    }
    [FossilAdapt("heads")]
    public partial class B : Module<Tensor, Tensor>
    {
        readonly ModuleDict<Linear> heads;
        public B() : base("b") { heads = ModuleDict(("x", Linear(64, 64)), ("y", Linear(65, 64))); RegisterComponents(); } //! FOSSIL005
        public override Tensor forward(Tensor x) => heads.Values.Aggregate(x, (h, l) => l.forward(h));
    }
    [FossilAdapt("heads")]
    public partial class C : Module<Tensor, Tensor>
    {
        readonly Dictionary<string, Linear> heads = new() { ["x"] = Linear(64, 64), ["y"] = Linear(66, 64) }; //! FOSSIL005
        public C() : base("c") { foreach (var (k, v) in heads) register_module(k, v); }
        public override Tensor forward(Tensor x) => heads.TryGetValue("x", out var l) ? l.forward(x) : x;
    }
    [FossilAdapt("tasks", ShardSize = 32)]
    public partial class Tasks : Module<Tensor, string, Tensor>
    {
        readonly ModuleDict<Linear> tasks = new();
        public Tasks(int hidden, params (string Name, int Classes)[] all) : base("t") { foreach (var (n, c) in all) tasks.Add(n, Linear(hidden, c)); RegisterComponents(); }
        public override Tensor forward(Tensor x, string task) => tasks[task].forward(x);
        static object Good() => new Tasks(64, ("a", 3), ("b", 5));
        static object Bad() => new Tasks(70, ("a", 3), ("b", 5)); //! FOSSIL005
        static object None() => new Tasks(70);
        static object Unknown(Dictionary<string, int> c) => new Tasks(64, c.Select(p => (p.Key, p.Value)).ToArray());
    }
}
namespace Mistakes
{
    [FossilAdapt("heads", ShardSize = 16)]
    public partial class NotRegistered : Module<Tensor, Tensor>
    {
        readonly Dictionary<string, Linear> heads = new() { ["x"] = Linear(64, 64) }; //! FOSSIL006
        public NotRegistered() : base("n") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => heads["x"].forward(x);
        public void Replace() => heads["x"] = Linear(64, 32); //! FOSSIL024
        public Func<Tensor, Tensor> Group() => heads["x"].forward; //! FOSSIL007
    }
    [FossilAdapt("numbered")] //! FOSSIL003
    public partial class ByNumber : Module<Tensor, Tensor>
    {
        readonly Dictionary<int, Linear> numbered = new() { [1] = Linear(64, 64) };
        public ByNumber() : base("n") { register_module("one", numbered[1]); }
        public override Tensor forward(Tensor x) => numbered[1].forward(x);
    }
}
