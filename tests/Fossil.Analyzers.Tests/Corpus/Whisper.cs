public class ModelDimensions
{
    public int n_mels = 80;
    public int n_audio_state;
    public int n_audio_head;
    public int n_text_state;
    public int n_text_layer = 4;
}

[FossilAdapt("query", "value")]
public partial class MultiHeadAttention : Module<Tensor, Tensor?, Tensor>
{
    public Linear query, key, value, @out;
    readonly int n_head;
    public MultiHeadAttention(int n_state, int n_head) : base("mha")
    {
        this.n_head = n_head;
        query = Linear(n_state, n_state);
        key = Linear(n_state, n_state, hasBias: false);
        value = Linear(n_state, n_state);
        @out = Linear(n_state, n_state);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor? xa) => @out.call(query.call(x) + key.call(xa ?? x) + value.call(xa ?? x));
}

public class ResidualAttentionBlock : Module<Tensor, Tensor?, Tensor>
{
    readonly MultiHeadAttention attn;
    readonly MultiHeadAttention? cross_attn;
    readonly Sequential mlp;
    public ResidualAttentionBlock(int n_state, int n_head, bool cross_attention = false) : base("rab")
    {
        attn = new MultiHeadAttention(n_state, n_head);
        cross_attn = cross_attention ? new MultiHeadAttention(n_state, n_head) : null;
        var n_mlp = n_state * 4;
        mlp = Sequential(Linear(n_state, n_mlp), GELU(), Linear(n_mlp, n_state));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor? xa)
    {
        x = x + attn.call(x, null);
        if (cross_attn is not null)
            x = x + cross_attn.call(x, xa);
        return x + mlp.call(x);
    }
}

public class TextDecoder : Module<Tensor, Tensor, Tensor>
{
    readonly ModuleList<ResidualAttentionBlock> blocks = new();
    public TextDecoder(ModelDimensions dims) : base("dec")
    {
        foreach (var _ in Enumerable.Range(0, dims.n_text_layer))
            blocks.append(new ResidualAttentionBlock(dims.n_text_state, 6, cross_attention: true));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor xa)
    {
        foreach (var b in blocks)
            x = b.call(x, xa);
        return x;
    }
}

static class P
{
    static ModelDimensions Dims(string name)
    {
        var d = new ModelDimensions();
        switch (name)
        {
            case "tiny":
                d.n_audio_state = d.n_text_state = 384;
                break;
            case "base":
                d.n_audio_state = d.n_text_state = 512;
                break;
            case "odd":
                d.n_text_state = 400;
                goto default;
            default:
                d.n_audio_state = 1;
                break;
        }

        return d;
    }

    static void Main()
    {
        _ = new TextDecoder(new ModelDimensions { n_text_state = 384 });
        _ = new TextDecoder(new ModelDimensions { n_text_state = 390 }); //! FOSSIL005
        _ = new TextDecoder(Dims("tiny"));
        _ = new TextDecoder(new());
        var dims = Dims("base");
        dims.n_text_state += 1;
        _ = new TextDecoder(dims); //! FOSSIL005
        using var block = new ResidualAttentionBlock(n_head: 6, n_state: 100); //! FOSSIL005
    }
}
