[FossilAdapt("fc", ShardSize = 64)]
public partial class Fc : Module<Tensor, Tensor>
{
    public Linear fc { get; }
    public Fc(int inDim, int outDim = 10, string name = "fc") : base(name) { this.fc = Linear(inDim, outDim); this.RegisterComponents(); }
    public override Tensor forward(Tensor t) => this.fc.forward(t);
}
static class X {
        static IEnumerable<Fc> Many() { yield return new(64); yield return new(90); } //! FOSSIL005
        static IEnumerable<Fc> Many2() { yield return new Fc(90); } //! FOSSIL005
        static IEnumerable<Fc> Many3() { yield return new Fc(64); yield return new Fc(90); } //! FOSSIL005
        static IEnumerable<int> Many4() { yield return 1; new Fc(90); yield return 2; } //! FOSSIL005
        static IEnumerable<Fc> Many5(int n) { for (int i = 0; i < n; i++) yield return new Fc(90); } //! FOSSIL005
}
