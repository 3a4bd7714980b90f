namespace Projections
{
    [FossilAdapt("q_proj", "o_proj", ShardSize = 64)]
    public partial class Attention : Module<Tensor, Tensor>
    {
        private readonly LinearLayer q_proj, o_proj;
        public Attention(int hidden, int heads, int head_dim) : base("attn")
        {
            q_proj = new LinearLayer(hidden, heads * head_dim, hasBias: false);
            o_proj = new(outFeatures: hidden, inFeatures: heads * head_dim, dtype: bfloat16);
            RegisterComponents();
        }
        public override Tensor forward(Tensor x) => o_proj.forward(q_proj.forward(x));
    }

    [FossilAdapt("up", ShardSize = 64)]
    public partial class Wrong : Module<Tensor, Tensor>
    {
        public Wrong() : base("wrong") => RegisterComponents();
        private readonly LinearLayer up = new(2050, 64); //! FOSSIL005
        public override Tensor forward(Tensor x) => up.forward(x);
    }

    [FossilAdapt("up", "down", Variant = FossilVariant.Bat, ShardSize = 32)]
    public partial class Blocks : Module<Tensor, Tensor>
    {
        public Blocks() : base("blocks") => RegisterComponents();
        private readonly LinearLayer up = new LinearLayer(64, 100); //! FOSSIL005
        private readonly LinearLayer down = new LinearLayer(16, 64); //! FOSSIL020
        public override Tensor forward(Tensor x) => down.forward(up.forward(x));
    }

    [FossilAdapt("up", ShardSize = 64)]
    public partial class FromTensors : Module<Tensor, Tensor>
    {
        private readonly LinearLayer up;
        public FromTensors(Tensor w) : base("tensors") { up = new LinearLayer(w, bias: null); RegisterComponents(); }
        public FromTensors(LinearWeight w) : base("tensors") { up = new LinearLayer(w); RegisterComponents(); }
        public override Tensor forward(Tensor x) => up.forward(x);
    }

    static class Make
    {
        static object Right() => new Attention(2048, 32, 64);
        static object Wide() => new Attention(2050, 32, 64); //! FOSSIL005
        static object Heads() => new Attention(2048, 3, 50); //! FOSSIL005
        static object Small() => new Wrong();
    }
}
