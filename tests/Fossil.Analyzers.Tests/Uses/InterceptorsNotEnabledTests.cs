using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;

namespace Fossil.Analyzers.Tests.Uses;

public class InterceptorsNotEnabledTests
{
    private const string Marked = """
        [FossilAdapt("up")]
        public partial class {|FOSSIL008:First|}() : Module<Tensor, Tensor>("First")
        {
            private readonly Linear up = Linear(64, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        [FossilAdapt("up")]
        public partial class Second() : Module<Tensor, Tensor>("Second")
        {
            private readonly Linear up = Linear(64, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """;

    private static readonly string Unmarked = Marked.Replace("{|FOSSIL008:First|}", "First", StringComparison.Ordinal);

    [Theory]
    [InlineData("is_global = true\n")]
    [InlineData("is_global = true\nbuild_property.FossilInterceptorsNamespaces = Other.Namespace,My\n")]
    [InlineData("is_global = true\nbuild_property.FossilInterceptorsNamespaces =\n")]
    public Task Missing_consent_is_reported_once(string settings) => Verify.Reports<InterceptorsNotEnabled>(Marked, settings);

    [Theory]
    [InlineData("is_global = true\nbuild_property.FossilInterceptorsNamespaces = Fossil.Generated\n")]
    [InlineData("is_global = true\nbuild_property.FossilInterceptorsNamespaces = Fossil\n")]
    public Task Consent_is_not_reported(string settings) => Verify.Reports<InterceptorsNotEnabled>(Unmarked, settings);

    /// <summary>As the SDK gives it to the compiler.</summary>
    [Theory]
    [InlineData(";Fossil.Generated")]
    [InlineData("Other.Namespace;Fossil.Generated")]
    public Task Consent_in_the_compilers_option_is_not_reported(string namespaces) => Verify.Reports<InterceptorsNotEnabled>(
        Unmarked, "is_global = true\nbuild_property.FossilInterceptorsNamespaces =\n", interceptors: namespaces);

    [Fact]
    public Task A_project_without_annotated_classes_needs_no_consent() => Verify.Reports<InterceptorsNotEnabled>("public class Plain;", "is_global = true\n");
}
