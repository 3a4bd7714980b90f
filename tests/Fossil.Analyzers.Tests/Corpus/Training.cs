namespace Right;
public class Trainer
{
    readonly nn.Module<Tensor, Tensor> model;
    AdaptedModel? adapted;
    torch.optim.Optimizer? optimizer;
    public Trainer(nn.Module<Tensor, Tensor> model) => this.model = model;
    public void Setup()
    {
        adapted = model.AttachAdapters();
        optimizer = adapted.CreateOptimizer();
    }

    public void Step(Tensor x)
    {
        optimizer!.zero_grad();
        model.forward(x).mean().backward();
        optimizer.step();
    }

    public void Finish()
    {
        adapted!.Merge();
        model.save("merged.dat");
    }
}

static class P
{
    static Tensor Loss(nn.Module m) => zeros(1);
    static void A(nn.Module<Tensor, Tensor> model, bool pre, Device device)
    {
        // pretrain first, then adapt
        {
            using var optimizer = optim.AdamW(model.parameters(), 1e-3);
            for (var i = 0; i < 10; i++)
            {
                optimizer.zero_grad();
                Loss(model).backward();
                optimizer.step();
            }
        }

        model.to(device);
        using var adapted = model.AttachAdapters();
        using var opt2 = adapted.CreateOptimizer();
        Loss(model).backward();
        opt2.step();
        adapted.SavePretrained("x");
    }

    static void B(nn.Module<Tensor, Tensor> model, bool full)
    {
        torch.optim.Optimizer optimizer;
        AdaptedModel? adapted = null;
        if (full)
            optimizer = optim.AdamW(model.parameters(), 1e-3);
        else
        {
            adapted = model.AttachAdapters();
            optimizer = adapted.CreateOptimizer();
        }

        Loss(model).backward();
        optimizer.step();
        if (adapted is null)
            model.save("full.dat");
        else
            adapted.SavePretrained("x");
        adapted?.Dispose();
    }

    static void C(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var optimizer = adapted.CreateOptimizer();
        for (var epoch = 0; epoch < 3; epoch++)
        {
            Loss(model).backward();
            optimizer.step();
            adapted.Merge();
            Evaluate(model);
            adapted.Unmerge();
        }

        adapted.MergeAndUnload();
        model.save("m");
    }

    static void C2(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var optimizer = adapted.CreateOptimizer();
        for (var epoch = 0; epoch < 3; epoch++)
        {
            if (epoch > 0)
                adapted.Unmerge();
            Loss(model).backward();
            optimizer.step();
            adapted.Merge();
            Evaluate(model);
        }
    }

    static void C3(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var optimizer = adapted.CreateOptimizer();
        adapted.Merge();
        try
        {
            Evaluate(model);
        }
        finally
        {
            adapted.Unmerge();
        }

        Loss(model).backward();
        optimizer.step();
    }

    static void C4(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var optimizer = adapted.CreateOptimizer();
        adapted.Merge();
        Serve(adapted);
        Loss(model).backward();
        optimizer.step();
    }

    static void Serve(AdaptedModel a)
    {
        a.Unmerge();
    }

    static void D(nn.Module<Tensor, Tensor> model, nn.Module<Tensor, Tensor> teacher)
    {
        using var adapted = model.AttachAdapters();
        using var optimizer = adapted.CreateOptimizer();
        using var other = optim.SGD(teacher.parameters(), 0.1);
        Loss(teacher).backward();
        other.step();
        teacher.save("teacher.dat");
        teacher.to(CPU);
    }

    static void E(nn.Module<Tensor, Tensor> model)
    {
        using (var adapted = model.AttachAdapters())
        {
            adapted.SavePretrained("x");
        }

        model.save("base.dat");
        using var opt = optim.AdamW(model.parameters());
    }

    static void F(nn.Module<Tensor, Tensor> model)
    {
        var adapted = model.AttachAdapters();
        adapted.Dispose();
        model.save("base.dat");
        using var opt = optim.AdamW(model.parameters());
    }

    static void G(nn.Module<Tensor, Tensor> model, Device device)
    {
        var optimizer = optim.AdamW(model.parameters());
        model = model.to(device);
        optimizer = optim.AdamW(model.parameters());
        Loss(model).backward();
        optimizer.step();
    }

    static void H(nn.Module<Tensor, Tensor> model, Device device)
    {
        using var adapted = model.AttachAdapters();
        using var d = NewDisposeScope();
        for (var i = 0; i < 3; i++)
        {
            using var scope = NewDisposeScope();
            Loss(model).backward();
        }

        adapted.SavePretrained("x");
    }

    static AdaptedModel I(nn.Module<Tensor, Tensor> model)
    {
        var adapted = model.AttachAdapters();
        return adapted;
    }

    static AdaptedModel I2(nn.Module<Tensor, Tensor> model) => model.AttachAdapters();
    static void I3(nn.Module<Tensor, Tensor> model)
    {
        foreach (var l in new[]
        {
            model
        }

        )
            Use(l.AttachAdapters());
    }

    static void Use(AdaptedModel a)
    {
    }

    static async Task J(nn.Module<Tensor, Tensor> model)
    {
        await using var f = File.OpenRead("x");
        using var adapted = model.AttachAdapters();
        var opt = adapted.CreateOptimizer();
        await Task.Delay(1);
        Loss(model).backward();
        opt.step();
        adapted.SavePretrained("x");
    }

    static void K(nn.Module<Tensor, Tensor> model)
    {
        Action train = () =>
        {
            using var adapted = model.AttachAdapters();
            var opt = adapted.CreateOptimizer();
            opt.step();
        };
        Action pre = () =>
        {
            var opt = optim.AdamW(model.parameters());
            opt.step();
        };
        pre();
        train();
    }

    static void L(nn.Module<Tensor, Tensor> model)
    {
        var opt = optim.AdamW(model.parameters());
        Loss(model).backward();
        opt.step();
        opt.Dispose();
        using var adapted = model.AttachAdapters();
    }

    static void M(nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b)
    {
        using var x = a.AttachAdapters();
        x.Merge();
        using var y = b.AttachAdapters();
        using var o = y.CreateOptimizer();
        Loss(b).backward();
        o.step();
    }

    static void M2(nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b)
    {
        using var x = a.AttachAdapters();
        using var y = b.AttachAdapters();
        using var o = y.CreateOptimizer();
        x.Merge();
        var target = a.forward(zeros(1));
        Loss(b).backward();
        o.step();
    }

    static void N(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        adapted.MergeAndUnload();
        using var opt = optim.AdamW(model.parameters());
        Loss(model).backward();
        opt.step();
        model.save("x");
    }

    static void O(nn.Module<Tensor, Tensor> model, string mode)
    {
        switch (mode)
        {
            case "train":
            {
                var o = optim.AdamW(model.parameters());
                o.step();
                break;
            }

            case "tune":
            {
                using var a = model.AttachAdapters();
                var o = a.CreateOptimizer();
                o.step();
                break;
            }
        }
    }

    static void Q(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        foreach (var p in model.parameters())
            Console.WriteLine(p.requires_grad);
        Console.WriteLine(model.parameters().Sum(p => p.numel()));
    }

    static void R(nn.Module<Tensor, Tensor> model, Device d)
    {
        var adapted = model.AttachAdapters();
        model.to(d);
        var o = adapted.CreateOptimizer();
        o.step();
    }

    static void S(nn.Module<Tensor, Tensor> model, Device d)
    {
        var adapted = model.AttachAdapters();
        var o = adapted.CreateOptimizer();
        o.step();
        model.to(CPU);
        adapted.SavePretrained("x");
    }

    static void Evaluate(nn.Module m)
    {
    }
}
