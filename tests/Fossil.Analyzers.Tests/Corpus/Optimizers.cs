// What optimizers are made over, through variables and LINQ; optimizers of this library.
using Fossil.Training;
namespace Optimizers;

public static class Fit
{
    private static Tensor Loss(nn.Module model) => zeros(1);

    public static void Variable(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters();
        using var o = optim.AdamW(ps, 1e-3); //! FOSSIL028
        Loss(model).backward();
        o.step();
    }

    public static void Listed(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters().ToList();
        Console.WriteLine(ps.Count);
        using var o = optim.SGD(ps, 1e-3); //! FOSSIL028
        o.step();
    }

    public static void ListedLater(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.named_parameters();
        var list = ps.Select(p => p.parameter);
        using var o = optim.Adam(list.ToArray(), 1e-3); //! FOSSIL028
        o.step();
    }

    public static void Filtered(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters().Where(p => p.requires_grad);
        using var o = optim.AdamW(ps, 1e-3);
        o.step();
    }

    public static void Reduced(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters().ToList();
        ps.RemoveAll(p => !p.requires_grad);
        using var o = optim.AdamW(ps, 1e-3);
        o.step();
    }

    public static void Reassigned(nn.Module<Tensor, Tensor> model, bool all)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters();
        if (!all) ps = ps.Where(p => p.requires_grad);
        using var o = optim.AdamW(ps, 1e-3);
        o.step();
    }

    private static void Keep(List<Parameter> all) => all.RemoveAt(0);

    public static void Given(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = model.parameters().ToList();
        Keep(ps);
        using var o = optim.AdamW(ps, 1e-3);
        o.step();
    }

    public static void Own(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        using var o = new FusedAdamW(model.named_parameters(), 1e-3); //! FOSSIL028
        o.step();
    }

    public static void OwnOfAdapters(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        var ps = adapted.TrainableParameters();
        using var o = new FusedAdamW(ps, 1e-3);
        Loss(model).backward();
        o.step();
        adapted.Merge();
    }

    public static void OwnBefore(nn.Module<Tensor, Tensor> model)
    {
        var ps = model.named_parameters();
        var o = new FusedAdamW(ps, 1e-3); //! FOSSIL029
        using var adapted = model.AttachAdapters();
        o.step();
    }

    public static void OwnMoved(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        using var o = new FusedAdamW(adapted.TrainableParameters(), 1e-3);
        model.to(bfloat16); //! FOSSIL030
        o.step();
    }

    public static void OwnMerged(nn.Module<Tensor, Tensor> model)
    {
        using var adapted = model.AttachAdapters();
        using var o = adapted.CreateOptimizer();
        adapted.Merge();
        o.step(); //! FOSSIL032
        adapted.Unmerge();
        o.step();
    }
}
