namespace Wrong;
static class P
{
    static Tensor Loss(nn.Module m) => zeros(1);
    static void A(nn.Module<Tensor, Tensor> model, Device d)
    {
        var adapted = model.AttachAdapters();
        var o = adapted.CreateOptimizer();
        model.to(d); //! FOSSIL030
        Loss(model).backward();
        o.step();
    }

    static void A2(nn.Module<Tensor, Tensor> model, Device d)
    {
        using var adapted = model.AttachAdapters();
        using var o = adapted.CreateOptimizer();
        model.cuda(); //! FOSSIL030
        for (int i = 0; i < 3; i++)
        {
            Loss(model).backward();
            o.step();
        }
    }

    static void A3(nn.Module<Tensor, Tensor> model, Device d)
    {
        using var adapted = model.AttachAdapters();
        using var o = optim.SGD(adapted.TrainableParameters(), 0.1);
        model.to(d); //! FOSSIL030
        o.step();
    }

    static void B2(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var o = optim.Adam(model.parameters().ToList(), 1e-3); //! FOSSIL028
        o.step();
    }

    static void B3(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var o = optim.Adam(lr: 1e-3, parameters: model.parameters()); //! FOSSIL028
        o.step();
    }

    static void B4(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var o = optim.SGD(parameters: model.named_parameters().Select(p => p.parameter), 0.1); //! FOSSIL028
        o.step();
    }

    static void C(nn.Module<Tensor, Tensor> model)
    {
        var o = optim.RMSProp(model.parameters()); //! FOSSIL029
        using var adapted = model.AttachAdapters();
        while (true)
        {
            Loss(model).backward();
            o.step();
        }
    }

    static void D(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var o = adapted.CreateOptimizer();
        adapted.Merge();
        for (int i = 0; i < 3; i++)
        {
            o.zero_grad();
            var l = Loss(model);
            l.backward(); //! FOSSIL032
            o.step(); //! FOSSIL032
        }
    }

    static void E(nn.Module<Tensor, Tensor> model)
    {
        model.AttachAdapters(); //! FOSSIL034
    }

    static void E2(nn.Module<Tensor, Tensor> model)
    {
        _ = model.AttachAdapters(); //! FOSSIL034
    }

    static void E3(nn.Module<Tensor, Tensor> model) => model.AttachAdapters(); //! FOSSIL034
    static void F(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        try
        {
            Loss(model).backward();
        }
        finally
        {
            model.save("x"); //! FOSSIL033
        }
    }

    static AdaptedModel? keep;
    static void G(nn.Module<Tensor, Tensor> model)
    {
        using (var s = torch.NewDisposeScope())
        {
            keep = model.AttachAdapters(); //! FOSSIL031
        }
    }

    static void G2(nn.Module<Tensor, Tensor> model)
    {
        AdaptedModel? a;
        using (torch.NewDisposeScope())
        {
            a = model.AttachAdapters(); //! FOSSIL031
        }

        a.SavePretrained("x");
    }
}
