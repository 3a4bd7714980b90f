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
        static FossilConfig F() => new() { Variant = (FossilVariant)7, MiniSize = 4 }; //! FOSSIL019
        static FossilConfig G() => new() { Variant = FossilVariant.Mini, InitWeights = false }; //! FOSSIL040
        static FossilConfig H(FossilConfig c) => c with { Dropout = 2 }; //! FOSSIL018
        static FossilConfig I(FossilConfig c) => c with { Variant = FossilVariant.Bat, Dropout = 0.1 }; //! FOSSIL015
        static LoraConfig J() => new() { Rank = 0 }; //! FOSSIL040
        static LoraConfig K() => new() { Alpha = double.NaN }; //! FOSSIL040
        static LoraConfig L() => new() { Dropout = 1 }; //! FOSSIL018
        static VeraConfig M() => new VeraConfig { Rank = -8, DInitial = 0.2 }; //! FOSSIL040
    }
    static class Right
    {
        static readonly FossilConfig A = new() { ShardSize = 16, Dropout = 0.05, AllowPadding = true };
        static readonly FossilConfig B = new() { Variant = FossilVariant.Mini, MiniSize = 8 };
        static FossilConfig C(FossilVariant v, int mini) => new() { Variant = v, MiniSize = 8, Dropout = 0.1, ShardSize = mini };
        static FossilConfig D() => A with { Variant = FossilVariant.Mini, MiniSize = 4 };
        static FossilConfig E() => new() { Variant = FossilVariant.Bat, Dropout = 0, MiniSize = 1, AllowPadding = false };
        static FossilConfig F() => new();
        static FossilConfig G(FossilConfig c) => c with { MiniSize = 8, Dropout = 0.1 };
        static FossilConfig H() => new() { InitWeights = false };
        static LoraConfig I(int rank) => new() { Rank = rank, Alpha = 16, Dropout = 0.05, UseDora = true };
        static VeraConfig J() => new() { Rank = 8, DInitial = 0, ProjectionPrngKey = -1 };
    }
}
