// Each rule that has a fix, more than once where one change could hide another. "//!" marks what is reported; other lines that name a rule are changed by its fix.
using Fossil;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

[assembly: FossilShardSizes(16, 16, 24)]                                  //! FOSSIL037

var model = new Network();
model.AttachAdapters();                                                   //! FOSSIL034
using var o = optim.AdamW(model.parameters(), 1e-3);                      //! FOSSIL028
Func<Tensor, Tensor> up = model.Third.Up.forward;                         //! FOSSIL007
Console.WriteLine(up(zeros(1, 96)));
Train.Run(model);

internal static class Train
{
    public static void Run(Network model)
    {
        _ = model.AttachAdapters();                                       //! FOSSIL034
        using var first = optim.SGD(model.parameters(), 0.1);             //! FOSSIL028
        using var second = optim.AdamW(model.named_parameters());         //! FOSSIL028
        using var other = new Network();
        using var adapted = other.AttachAdapters();
        using var third = optim.AdamW(other.parameters());                //! FOSSIL028
        Apply(model.Third.Up.forward);                                    //! FOSSIL007
    }

    private static void Apply(Func<Tensor, Tensor> layer) => layer(zeros(1, 96));
}

[FossilAdapt("upp", "dwn", ShardSize = 32)]                               //! FOSSIL002
internal sealed partial class First : Module<Tensor, Tensor>
{
    private readonly Linear up = Linear(96, 96);
    private readonly Linear down = Linear(96, 96);

    public First() : base(nameof(First)) => RegisterComponents();

    public override Tensor forward(Tensor x) => down.forward(up.forward(x));
}

internal static class Around                                              // FOSSIL001 changes the type around, too
{
    [FossilAdapt("up", ShardSize = 32)]
    internal sealed class Second : Module<Tensor, Tensor>                 //! FOSSIL001
    {
        private readonly Linear up = Linear(96, 96);

        public Second() : base(nameof(Second)) => RegisterComponents();

        public override Tensor forward(Tensor x) => up.forward(x);
    }
}

[FossilAdapt("Up", "Up", ShardSize = 64)]                                 //! FOSSIL011, and for FOSSIL005
[FossilAdapt("wide", ShardSize = 32)]                                     // FOSSIL005
[FossilAdapt("narrow", ShardSize = 64)]                                   // FOSSIL020
internal sealed partial class Third : Module<Tensor, Tensor>
{
    private readonly Linear wide = Linear(250, 96);                       //! FOSSIL005
    private readonly Linear narrow = Linear(8, 96);                       //! FOSSIL020

    public Third() : base(nameof(Third)) => RegisterComponents();

    public Linear Up { get; } = Linear(96, 96);                            //! FOSSIL005

    public override Tensor forward(Tensor x) => narrow.forward(wide.forward(Up.forward(x)));
}

[FossilAdapt("zero", ShardSize = 0)]                                      //! FOSSIL004
[FossilAdapt("negative", ShardSize = 32, Variant = FossilVariant.Mini, MiniSize = -1)] //! FOSSIL016
[FossilAdapt("mini", ShardSize = 32, Variant = FossilVariant.Mini, MiniSize = 7)] // FOSSIL017
[FossilAdapt("unused", ShardSize = 32, MiniSize = 4)]                     //! FOSSIL015
[FossilAdapt("bat", ShardSize = 32, Variant = FossilVariant.Bat, Dropout = 0.1, AllowPadding = true)] //! FOSSIL015
internal sealed partial class Fourth : Module<Tensor, Tensor>
{
    private readonly Linear zero = Linear(64, 96), negative = Linear(96, 96), unused = Linear(96, 96), bat = Linear(96, 96);
    private readonly Linear mini = Linear(96, 96);                        //! FOSSIL017

    public Fourth() : base(nameof(Fourth)) => RegisterComponents();

    public override Tensor forward(Tensor x) => bat.forward(unused.forward(mini.forward(negative.forward(zero.forward(x)))));
}

[FossilAdapt("late", "later", ShardSize = 32)]
internal sealed partial class Fifth : Module<Tensor, Tensor>
{
    private readonly Linear late, later;

    public Fifth()
        : base(nameof(Fifth))
    {
        late = Linear(96, 96);                                            //! FOSSIL006
        later = Linear(96, 96);                                           //! FOSSIL006
    }

    public override Tensor forward(Tensor x) => later.forward(late.forward(x));
}

internal sealed class Sixth : Module<Tensor, Tensor>
{
    private readonly Fifth part;

    public Sixth()
        : base(nameof(Sixth))
    {
        part = new Fifth();                                               //! FOSSIL039
    }

    public override Tensor forward(Tensor x) => part.forward(x);
}

[FossilAdapt("plain", "inner", ShardSize = 32)]
internal sealed partial class Seventh : Module<Tensor, Tensor>
{
    private readonly Linear plain = Linear(96, 96), inner = Linear(96, 96);

    public Seventh() : base(nameof(Seventh)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        x = functional.linear(x, plain.weight!, plain.bias);              //! FOSSIL041
        return functional.linear(x, inner.weight!, inner.bias);           //! FOSSIL041
    }
}

internal sealed class Network : Module<Tensor, Tensor>
{
    private readonly First first = new();
    private readonly Around.Second second = new();
    private readonly Fourth fourth = new();
    private readonly Sequential rest = Sequential(new Fifth(), new Sixth(), new Seventh());

    public Network() : base(nameof(Network)) => RegisterComponents();

    public Third Third { get; } = new();

    public override Tensor forward(Tensor x) => rest.forward(Third.forward(fourth.forward(second.forward(first.forward(x)))));
}
