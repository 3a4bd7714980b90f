namespace Configs
{
    static class Wrong
    {
        static readonly FossilConfig A = new() { ShardSize = 0 }; //! FOSSIL004
        static FossilConfig B => new FossilConfig { Variant = FossilVariant.Bat, Dropout = 0.1 }; //! FOSSIL015
        static void C(nn.Module m)
        {
            using var a = m.AttachAdapters(new FossilConfig
            {
                ShardSize = 32,
                MiniSize = 8, //! FOSSIL015
                Dropout = 10, //! FOSSIL018
            });
        }
        static FossilConfig D() => new() { Variant = FossilVariant.Mini, MiniSize = -1 }; //! FOSSIL016
        static FossilConfig E() => new() { Variant = FossilVariant.Bat, AllowPadding = true }; //! FOSSIL015
    }
    static class Right
    {
        static readonly FossilConfig A = new() { ShardSize = 16, Dropout = 0.05, AllowPadding = true };
        static readonly FossilConfig B = new() { Variant = FossilVariant.Mini, MiniSize = 8 };
        static FossilConfig C(FossilVariant v, int mini) => new() { Variant = v, MiniSize = 8, Dropout = 0.1, ShardSize = mini };
        static FossilConfig D() => A with { Variant = FossilVariant.Mini, MiniSize = 4 };
        static FossilConfig E() => new() { Variant = FossilVariant.Bat, Dropout = 0, MiniSize = 1, AllowPadding = false };
        static FossilConfig F() => new();
    }
}
