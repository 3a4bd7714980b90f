using Fossil.Tests.Adapters;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>Adapters that run and are not trained.</summary>
public sealed class MissingGradientTests
{
    [Fact]
    public void Parameters_that_ran_and_got_no_gradient_are_named_once()
    {
        var warnings = Warnings(() =>
        {
            using var scope = NewDisposeScope();
            using var model = new Branches();
            using var adapted = model.AttachAdapters();
            using var optimizer = adapted.CreateOptimizer();
            for (var step = 0; step < 3; step++)
            {
                model.Run(detach: true).backward();
                optimizer.step();
                optimizer.zero_grad();
            }
        });
        Assert.Contains("right.proj.miss_block.default", Assert.Single(warnings));
        Assert.DoesNotContain("left", warnings[0]);
        Assert.DoesNotContain("unused", warnings[0]);
    }

    [Fact]
    public void A_trainer_names_them_as_well()
    {
        var warnings = Warnings(() =>
        {
            using var model = new Branches();
            using var adapted = model.AttachAdapters();
            new Trainer<TokenBatch>(adapted, _ => model.Run(detach: true), new TrainingArguments { MaxSteps = 2 }, TokenData.FromWindows([1, 2, 3, 4], 2, "numbers")).Train();
        });
        Assert.Contains("right.proj.miss_block.default", Assert.Single(warnings));
    }

    [Fact]
    public void What_did_not_run_or_is_not_trained_is_not_named()
    {
        Assert.Empty(Warnings(() =>
        {
            using var scope = NewDisposeScope();
            using var model = new Branches();
            using var adapted = model.AttachAdapters();
            adapted.AddAdapter("other", new FossilConfig { ShardSize = 4 });
            using var optimizer = adapted.CreateOptimizer();
            using (no_grad()) model.Run(detach: true);
            model.left.forward(ones(2, 8)).sum().backward();
            optimizer.step();
        }));
    }

    private static List<string> Warnings(Action action)
    {
        var warnings = new List<string>();
        var handler = FossilWarnings.Handler;
        FossilWarnings.Handler = warnings.Add;
        try
        {
            action();
        }
        finally
        {
            FossilWarnings.Handler = handler;
        }

        return [.. warnings.Where(warning => warning.Contains("gradient", StringComparison.Ordinal))];
    }

    private sealed class Branches : nn.Module
    {
        public readonly OneLinear left = new(8, 8), right = new(8, 8), unused = new(8, 8);

        public Branches()
            : base(nameof(Branches)) => RegisterComponents();

        public Tensor Run(bool detach)
        {
            var (a, b) = (left.forward(ones(2, 8)), right.forward(ones(2, 8)));
            return (a + (detach ? b.detach() : b)).sum();
        }
    }
}
